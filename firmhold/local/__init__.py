"""The embedded stack: real Kafka, Postgres and Redis on loopback, and the gateway and worker on top of them."""
