"""What schemathesis loads before it starts: every request is signed as botocore signs it.

The signature covers the request as it goes out, so whatever is generated reaches the handlers and not
only the check of signatures.
"""

import os
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import requests
import schemathesis
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


class Signature(requests.auth.AuthBase):
    def __init__(self):
        credentials = Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
        signer = lambda service: SigV4Auth(credentials, service, os.environ["AWS_REGION"])
        self._mq, self._sts = signer("mq"), signer("sts")

    def __call__(self, request):
        url = urlsplit(request.url)
        # As AWS's clients write it: what the signature covers is what is sent.
        query = urlencode(parse_qsl(url.query, keep_blank_values=True), quote_via=quote, safe="-_.~")
        url = url._replace(query=query)
        request.url = urlunsplit(url)
        signed = AWSRequest(
            request.method,
            request.url,
            headers={"Host": url.netloc},
            data=request.body or b"",
        )
        (self._sts if url.path == "/" else self._mq).add_auth(signed)
        request.headers.update(signed.headers.items())
        return request


schemathesis.auth.set_from_requests(Signature())
