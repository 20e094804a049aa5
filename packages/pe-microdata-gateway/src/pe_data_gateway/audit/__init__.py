"""The access log of gated countries: records, hash chain, checkpoints and reports.

The gateway writes it (`pe_data_gateway.audit_log`); everything here only reads, from any store that
can list its objects, and needs neither the gateway's libraries nor its secrets.
"""
