"""Cloud Storage on loopback, for TensorFlow's own file system of gs:// URIs.

A proxy that ends the TLS of www.googleapis.com and storage.googleapis.com and answers for them,
from objects in memory. Objects are kept as they are written, those of zero bytes whose name ends in
a slash as well, which TensorFlow makes for directories.
"""

import datetime
import http.server
import json
import pathlib
import re
import ssl
import urllib.parse

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from support import loopback

HOSTS = ('www.googleapis.com', 'storage.googleapis.com')


class Server(loopback.Server):
    """The server; a store of a rehearsal, too, that does what the backend's launcher does.

    Args:
        directory: pathlib.Path, for the certificate.

    Attributes:
        objects: bytes by (bucket, name).
        environment: variables with which TensorFlow comes here.
    """

    def __init__(self, directory):
        super().__init__(Handler)
        self.objects, self.uploads = {}, {}
        certificate = _make_certificate(directory)
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(certificate)
        self.environment = {
            'https_proxy': f'http://127.0.0.1:{self.server_port}',
            'CURL_CA_BUNDLE': str(certificate),
            'GOOGLE_AUTH_TOKEN_FOR_TESTING': 'any',
        }

    def names(self, prefix=''):
        """Names of the objects that begin with `prefix`, sorted."""
        return sorted(name for _, name in self.objects if name.startswith(prefix))

    def place(self, uri):
        return uri

    def upload(self, path, uri):
        """Copies a file, or every file below a directory; a path must be there, as after 2.17."""
        path = pathlib.Path(path)
        if not path.exists():
            raise ValueError(f'the output {uri} is not there: {path}')
        bucket, key = _bucket_and_key(uri)
        for file in [path] if path.is_file() else sorted(path.rglob('*')):
            if file.is_file():
                name = '/'.join([key, *file.relative_to(path).parts])
                self.objects[bucket, name] = file.read_bytes()

    def download(self, uri, path):
        """Copies objects one by one, each to the path of its name: `dir/` to a file `dir`."""
        bucket, key = _bucket_and_key(uri)
        wanted = [name for name in self.names(key) if name == key or name.startswith(f'{key}/')]
        for name in wanted:
            target = pathlib.Path(path, name[len(key) :].strip('/'))
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(self.objects[bucket, name])
        return len(wanted)


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers the requests that TensorFlow makes."""

    protocol_version = 'HTTP/1.1'

    def log_message(self, *arguments):
        """Keeps quiet."""

    def do_CONNECT(self):
        assert self.path.split(':')[0] in HOSTS, self.path
        self.send_response(200)
        self.end_headers()
        self.connection = self.server.tls.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile('rb'), self.connection.makefile('wb', 0)

    def _handle(self):
        if self.headers.get('Transfer-Encoding') == 'chunked':
            body = b''.join(iter(self._chunk, b''))
        else:
            body = self.rfile.read(int(self.headers.get('Content-Length') or 0))
        parts = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(parts.query))
        for method, pattern, answer in ROUTES:
            match = re.fullmatch(pattern, parts.path)
            if match and method == self.command:
                groups = [urllib.parse.unquote(group) for group in match.groups()]
                return answer(self, body, query, *groups)
        return self._send(400, {'error': f'{self.command} {self.path}'})

    do_GET = do_POST = do_PUT = do_DELETE = _handle  # noqa: N815

    def _chunk(self):
        chunk = self.rfile.read(int(self.rfile.readline(), 16))
        self.rfile.readline()
        return chunk

    def _send(self, status, answer=None, headers=()):
        body = answer if isinstance(answer, bytes) else json.dumps(answer or {}).encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stat(self, body, query, bucket, name):
        if (bucket, name) not in self.server.objects:
            return self._send(404)
        size = str(len(self.server.objects[bucket, name]))
        updated = '2026-01-01T00:00:00.000Z'
        return self._send(200, {'name': name, 'size': size, 'generation': '1', 'updated': updated})

    def _stat_bucket(self, body, query, bucket):
        self._send(200, {'name': bucket, 'location': 'EU'})

    def _list(self, body, query, bucket):
        prefix, delimiter = query.get('prefix', ''), query.get('delimiter')
        items, prefixes = [], {}
        for name in self.server.names(prefix):
            head, found, _ = name[len(prefix) :].partition(delimiter or '\0')
            if found:
                prefixes[f'{prefix}{head}{delimiter}'] = None
            else:
                items.append({'name': name})
        self._send(
            200, {'items': items[: int(query.get('maxResults', 1000))], 'prefixes': [*prefixes]}
        )

    def _read(self, body, query, bucket, name):
        content = self.server.objects.get((bucket, name))
        if content is None:
            return self._send(404)
        wanted = re.fullmatch(r'bytes=(\d+)-(\d+)', self.headers.get('Range', ''))
        if wanted is None:
            return self._send(200, content)
        first, last = map(int, wanted.groups())
        return self._send(206 if content[first:] else 416, content[first : last + 1])

    def _upload(self, body, query, bucket):
        if query['uploadType'] == 'media':
            self.server.objects[bucket, query['name']] = body
            return self._send(200, {'name': query['name']})
        key = str(len(self.server.uploads))
        self.server.uploads[key] = bucket, query['name']
        return self._send(200, headers=[('Location', f'https://{HOSTS[0]}/session/{key}')])

    def _finish(self, body, query, key):
        self.server.objects[self.server.uploads[key]] = body
        self._send(200)

    def _delete(self, body, query, bucket, name):
        found = self.server.objects.pop((bucket, name), None)
        self._send(404 if found is None else 204, b'')

    def _copy(self, body, query, bucket, name, other, target):
        self.server.objects[other, target] = self.server.objects[bucket, name]
        self._send(200, {'done': True})


_OBJECT = '/storage/v1/b/([^/]+)/o/([^/]+)'
ROUTES = (
    ('GET', _OBJECT, Handler._stat),
    ('DELETE', _OBJECT, Handler._delete),
    ('POST', f'{_OBJECT}/rewriteTo/b/([^/]+)/o/([^/]+)', Handler._copy),
    ('GET', '/storage/v1/b/([^/]+)', Handler._stat_bucket),
    ('GET', '/storage/v1/b/([^/]+)/o', Handler._list),
    ('POST', '/upload/storage/v1/b/([^/]+)/o', Handler._upload),
    ('PUT', '/session/(.+)', Handler._finish),
    ('GET', '/([^/]+)/(.+)', Handler._read),
)


def _bucket_and_key(uri):
    bucket, _, key = uri.removeprefix('gs://').partition('/')
    return bucket, key


def _make_certificate(directory):
    """Writes a certificate for HOSTS that signs itself, with its key; returns the path."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOSTS[0])])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(map(x509.DNSName, HOSTS)), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = directory / 'certificate.pem'
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path
