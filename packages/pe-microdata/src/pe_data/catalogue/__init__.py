"""The catalogue of a store: static pages for each dataset, member and version (extra `site`)."""
