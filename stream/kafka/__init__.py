"""The log in Apache Kafka. Only this package imports kafka-python."""
