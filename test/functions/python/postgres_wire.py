"""As much of PostgreSQL's protocol as a rotation function needs, since no driver is at hand: SCRAM-SHA-256, one query."""
import base64
import hashlib
import hmac
import os
import socket
import struct


class Refused(Exception):
    """The server does not accept this user with this password."""


class Connection:
    def __init__(self, host, port, user, password, dbname):
        self.socket = socket.create_connection((host, int(port)), timeout=10)
        body = struct.pack('!i', 196608)
        for name, value in (('user', user), ('database', dbname)):
            body += name.encode() + b'\0' + value.encode() + b'\0'
        self._send(b'', body + b'\0')
        self._authenticate(password)

    def query(self, sql):
        self._send(b'Q', sql.encode() + b'\0')
        failure = None
        while True:
            kind, body = self._receive()
            if kind == b'E':
                failure = body
            if kind == b'Z':
                break
        if failure:
            raise RuntimeError('the server refuses the statement: ' + _field(failure, 'C'))

    def close(self):
        self.socket.close()

    def _authenticate(self, password):
        nonce = base64.b64encode(os.urandom(18)).decode()
        first = 'n=,r=' + nonce
        expected = None
        while True:
            kind, body = self._receive()
            if kind == b'E':
                if _field(body, 'C') in ('28P01', '28000'):
                    raise Refused(_field(body, 'C'))
                raise RuntimeError('the server refuses the connection: ' + _field(body, 'C'))
            if kind == b'Z':
                return
            if kind != b'R':
                continue
            code, rest = struct.unpack('!i', body[:4])[0], body[4:]
            if code == 10:
                message = ('n,,' + first).encode()
                self._send(b'p', b'SCRAM-SHA-256\0' + struct.pack('!i', len(message)) + message)
            elif code == 11:
                message, expected = _proof(password, first, nonce, rest.decode())
                self._send(b'p', message)
            elif code == 12 and rest != b'v=' + expected:
                raise RuntimeError('the server does not know the password either')

    def _send(self, kind, body):
        self.socket.sendall(kind + struct.pack('!i', len(body) + 4) + body)

    def _receive(self):
        head = self._exactly(5)
        return head[:1], self._exactly(struct.unpack('!i', head[1:])[0] - 4)

    def _exactly(self, count):
        data = b''
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise ConnectionError('the server closed the connection')
            data += more
        return data


def _proof(password, first, nonce, server_first):
    parts = dict(part.split('=', 1) for part in server_first.split(','))
    if not parts['r'].startswith(nonce):
        raise RuntimeError('the answer belongs to another login')
    salted = hashlib.pbkdf2_hmac('sha256', password.encode(), base64.b64decode(parts['s']), int(parts['i']))
    client_key = hmac.digest(salted, b'Client Key', 'sha256')
    stored_key = hashlib.sha256(client_key).digest()
    without_proof = 'c=biws,r=' + parts['r']
    message = (first + ',' + server_first + ',' + without_proof).encode()
    signature = hmac.digest(stored_key, message, 'sha256')
    proof = base64.b64encode(bytes(a ^ b for a, b in zip(client_key, signature))).decode()
    server_key = hmac.digest(salted, b'Server Key', 'sha256')
    expected = base64.b64encode(hmac.digest(server_key, message, 'sha256'))
    return (without_proof + ',p=' + proof).encode(), expected


def _field(body, code):
    for part in body.split(b'\0'):
        if part[:1] == code.encode():
            return part[1:].decode()
    return ''
