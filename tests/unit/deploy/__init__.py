"""Tests of infra/deploy."""
