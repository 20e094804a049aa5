"""Example inputs from public files: a source dataset, a calibration package, population references.

With them the whole workflow runs without an account or an upload. Geography is drawn at random inside each state and
the ages of dependents are imputed, so nothing made from them is an estimate. Every file says so.
"""
