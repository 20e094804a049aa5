"""The boundary to release bundles: from signed nominations to a data-release block, and back.

    checks         what must hold of a nominated artifact
    compatibility  for which version of the model it holds
    release        the data-release block that a bundle pins
    certify        the whole way, for a country
    statement      the same as an in-toto statement
    trace          the same as a TRACE transparent research object
    status         is a release that was certified earlier still reproducible?
    schemas        the JSON schemas of these documents

A release bundle keeps certification, citation and the words "stable" and "certified". What is made
here is the block of it that speaks about data.
"""
