"""The truth: migrations, named queries and the store. All writes to Postgres go through here; nothing is decided here."""
