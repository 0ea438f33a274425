"""What Python does first in the process of `moto_server`."""

import bisect
import sys
import types

# moto answers each request in a thread of its own, and looks at the condition of a put before it writes: with the
# interval no other thread comes in between, for a thread is left only where it waits.
sys.setswitchinterval(100)

# The rest spares some of its time. It reads the same directory and makes the same table for each request, and goes
# through all that a bucket holds for each list.
try:
    import moto.backends as backends
    import moto.s3.models as s3
    from moto.core.errors import ErrorLookupFactory

    modules, lookups = list(backends.list_of_moto_modules()), {}
    backends.list_of_moto_modules = lambda: modules
    ErrorLookupFactory.__init__ = lambda self: setattr(self, "_error_lut_cache", lookups)

    class Keys(s3._VersionedKeyStore):
        """What a bucket holds, with the names in order: a list goes through those of its prefix."""

        def __init__(self):
            super().__init__()
            self.names = []

        def __setitem__(self, name, value):
            self.named(name)
            super().__setitem__(name, value)

        def setlist(self, name, versions):
            self.named(name)
            super().setlist(name, versions)

        def pop(self, name):
            super().pop(name)
            del self.names[bisect.bisect_left(self.names, name)]

        def named(self, name):
            if name not in self:
                bisect.insort(self.names, name)

        def under(self, prefix):
            first, end = (bisect.bisect_left(self.names, at) for at in (prefix, prefix + chr(sys.maxunicode)))
            return {name: self[name] for name in self.names[first:end]}

    def list_objects(self, bucket, prefix, *arguments, **named):
        part = types.SimpleNamespace(keys=bucket.keys.under(prefix or ""))
        return whole(self, part, prefix, *arguments, **named)

    whole, s3.S3Backend.list_objects, s3._VersionedKeyStore = s3.S3Backend.list_objects, list_objects, Keys
except (AttributeError, ImportError):
    pass

# Its own server has a connection, a thread and a line of its log for each request.
try:
    import waitress
    import werkzeug.serving

    def serve(host, port, app, **_):
        def with_path_as_sent(environ, start_response):
            environ["RAW_URI"] = environ["REQUEST_URI"]
            return app(environ, start_response)

        waitress.serve(with_path_as_sent, host=host, port=port, threads=8, connection_limit=1000, _quiet=True)

    werkzeug.serving.run_simple = serve
except ImportError:
    pass
