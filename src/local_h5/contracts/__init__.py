"""Documents in JSON: configuration, results, validation records, policy, plan, work items, and their schemas."""
