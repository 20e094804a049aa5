"""What is written as JSON and read again: results, validation records, policy, work items, and their schemas."""
