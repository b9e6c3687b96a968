"""The decision: a pure core, and the shell that feeds it from Kafka and stores what it decides."""
