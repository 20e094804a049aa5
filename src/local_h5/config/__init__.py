"""The configuration: checked, with its paths and the areas that follow from it."""
