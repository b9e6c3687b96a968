"""The contract: what travels on Kafka, and how. Imports nothing of ours."""
