"""A headless Chromium, spoken to over its DevTools protocol on a pair of pipes."""

import base64
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import tempfile

PROGRAM = next(
    filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None
)
_OPTIONS = [
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
    '--hide-scrollbars', '--remote-debugging-pipe',
]  # fmt: skip


@contextlib.contextmanager
def browser():
    """Starts Chromium with a profile of its own, and gives the Tab to look at pages in."""
    to_child, from_us = os.pipe()
    to_us, from_child = os.pipe()
    with tempfile.TemporaryDirectory(prefix='chromium-', ignore_cleanup_errors=True) as profile:
        # DevTools wants the pipes to be the files 3 and 4; sh cannot name all that they may be now
        command = f'exec "$@" 3<&{to_child} 4>&{from_child}'
        process = subprocess.Popen(
            ['bash', '-c', command, 'bash', PROGRAM, *_OPTIONS, f'--user-data-dir={profile}'],
            pass_fds=[to_child, from_child],
            stderr=subprocess.DEVNULL,
        )
        os.close(to_child)
        os.close(from_child)
        try:
            with os.fdopen(from_us, 'wb') as sink, os.fdopen(to_us, 'rb') as source:
                yield Tab(sink, source)
        finally:
            process.kill()
            process.wait()


class Tab:
    """A tab that notes what a page asks of the network and what it complains of.

    Attributes:
        requests: addresses that were asked for, in order.
        complaints: errors and messages of the console.
    """

    def __init__(self, sink, source):
        self._sink, self._source = sink, source
        self._numbers, self._session, self._unread = itertools.count(1), None, b''
        self.requests, self.complaints, self._events = [], [], []
        target = self.call('Target.createTarget', url='about:blank')['targetId']
        attached = self.call('Target.attachToTarget', targetId=target, flatten=True)
        self._session = attached['sessionId']
        for domain in ('Page', 'Runtime', 'Log', 'Network'):
            self.call(f'{domain}.enable')

    def open(self, url, width=1280, height=900, dark=False):
        """Opens a page in a window of a size in CSS pixels, and waits until it is there."""
        self.requests.clear()
        self.complaints.clear()
        self._events.clear()
        self.call(
            'Emulation.setDeviceMetricsOverride',
            width=width, height=height, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip
        scheme = {'name': 'prefers-color-scheme', 'value': 'dark' if dark else 'light'}
        self.call('Emulation.setEmulatedMedia', features=[scheme])
        self.call('Page.navigate', url=url)
        while 'Page.loadEventFired' not in self._events:
            self._take(self._read())

    def evaluate(self, expression):
        """Returns the value of a JavaScript expression."""
        answer = self.call('Runtime.evaluate', expression=expression, returnByValue=True)
        return answer['result'].get('value')

    def screenshot(self, path, height=None):
        """Writes a PNG of the page: all of it, or the first `height` CSS pixels."""
        size = self.call('Page.getLayoutMetrics')['cssContentSize']
        clip = {'x': 0, 'y': 0, 'width': size['width'], 'scale': 1}
        clip['height'] = min(size['height'], height or size['height'])
        shot = self.call('Page.captureScreenshot', clip=clip, captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot['data']))

    def print(self, path):
        """Writes the page as PDF, on A4."""
        options = {'paperWidth': 8.27, 'paperHeight': 11.69, 'preferCSSPageSize': True}
        pages = self.call('Page.printToPDF', printBackground=False, **options)
        path.write_bytes(base64.b64decode(pages['data']))

    def call(self, method, **parameters):
        """Calls a method of the protocol; returns its result."""
        number = next(self._numbers)
        message = {'id': number, 'method': method, 'params': parameters}
        if self._session:
            message['sessionId'] = self._session
        self._sink.write(json.dumps(message).encode() + b'\0')
        self._sink.flush()
        while (answer := self._read()).get('id') != number:
            self._take(answer)
        if 'error' in answer:
            raise RuntimeError(f'{method}: {answer["error"]}')
        return answer['result']

    def _take(self, event):
        """Takes note of an event."""
        method, told = event.get('method'), event.get('params', {})
        self._events.append(method)
        if method == 'Network.requestWillBeSent':
            self.requests.append(told['request']['url'])
        elif method in ('Runtime.consoleAPICalled', 'Runtime.exceptionThrown', 'Log.entryAdded'):
            self.complaints.append(told)

    def _read(self):
        """Returns the next message."""
        while b'\0' not in self._unread:
            read = os.read(self._source.fileno(), 1 << 20)
            if not read:
                raise EOFError('Chromium has ended')
            self._unread += read
        message, _, self._unread = self._unread.partition(b'\0')
        return json.loads(message)
