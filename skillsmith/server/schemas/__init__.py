"""The shapes of requests and answers, for checking what comes in and for the OpenAPI document."""
