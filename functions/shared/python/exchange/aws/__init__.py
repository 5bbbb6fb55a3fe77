"""The door to AWS: settings, clients, the DynamoDB base, the Kinesis writer, the REST shape of every API."""
