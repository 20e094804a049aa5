"""What pages of HTML share: the report of a run, the catalogue of a store, the notice of gated data."""
