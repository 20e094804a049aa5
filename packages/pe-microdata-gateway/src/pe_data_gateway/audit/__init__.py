"""The access log of gated countries: its form, its chain, and the answers that it gives.

The gateway writes it (`pe_data_gateway.audit_log`); everything here only reads, from any store that
can list its objects, and needs neither the gateway's libraries nor its secrets.
"""
