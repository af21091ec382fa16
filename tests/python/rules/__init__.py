"""Every rule of the API that a caller can meet, as boto3 meets it: tables of requests and of the words they are answered
with, by subject; and the inventory that tells whether each operation was seen with each of its modelled errors."""
