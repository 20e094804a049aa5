"""Revocation: signed tombstones, made, spread, and obeyed.

A tombstone lies beside the payload that it ends, `{country}/{sha[:2]}/{sha}.tombstone.json`. It is
written once and stays for ever; the payload goes, the manifest stays. Nothing here brings an
artifact back.

    tombstone   the document
    verify      its signatures, against the trust root (loads heavy libraries, only when there is one)
    known       what this machine remembers, and when it asked last
    lookup      what a reader does before it hands out bytes
    bar         what stops a publisher
    revoke      making, publishing and completing a revocation
"""
