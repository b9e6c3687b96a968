"""What people and services do with Firmhold, one story a file, over HTTP and Kafka on the real servers."""
