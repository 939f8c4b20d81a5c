"""The log in Apache Kafka. The only package that imports kafka-python."""
