"""Checks of files against the calibration's targets, with the country model."""
