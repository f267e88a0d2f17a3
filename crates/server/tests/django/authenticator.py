"""A software WebAuthn authenticator: ES256, attestation `none`, and keys that can be written down."""

import base64
import hashlib
import json
import os

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fido2 import cbor

PRESENT, VERIFIED, ELIGIBLE, ATTESTED = 0x01, 0x04, 0x08, 0x40


def text(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def register(options, origin):
    """Answers creation options as a browser does; gives the credential, and what it takes to use it later."""
    options = options.get("publicKey", options)
    rp_id, handle = options["rp"]["id"], options["user"]["id"]
    discoverable = options["authenticatorSelection"]["residentKey"] == "required"
    key = ec.generate_private_key(ec.SECP256R1())
    numbers = key.public_key().public_numbers()
    cose = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
    credential_id = os.urandom(32)
    # A passkey is of the kind that is copied to other devices, a security key is not.
    flags = PRESENT | VERIFIED | ATTESTED | (ELIGIBLE if discoverable else 0)
    data = hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + (3).to_bytes(4, "big")
    data += bytes(16) + len(credential_id).to_bytes(2, "big") + credential_id + cbor.encode(cose)
    client_data = {"type": "webauthn.create", "challenge": options["challenge"], "origin": origin, "crossOrigin": False}
    credential = {
        "id": text(credential_id),
        "rawId": text(credential_id),
        "type": "public-key",
        "authenticatorAttachment": "platform" if discoverable else "cross-platform",
        "clientExtensionResults": {"credProps": {"rk": discoverable}},
        "response": {
            "clientDataJSON": text(json.dumps(client_data).encode()),
            "attestationObject": text(cbor.encode({"fmt": "none", "attStmt": {}, "authData": data})),
            "transports": ["internal"] if discoverable else ["usb"],
        },
    }
    pkcs8 = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    held = {
        "id": text(credential_id),
        "rp_id": rp_id,
        "user_handle": handle,
        "discoverable": discoverable,
        "private_key": text(pkcs8),
    }
    return credential, held
