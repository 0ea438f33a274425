"""What Python does first in the process of `moto_server`."""

import sys

# moto answers each request in a thread of its own, and looks at the condition of a put before it writes: with the
# interval no other thread comes in between, for a thread is left only where it waits.
sys.setswitchinterval(100)

# The rest spares some of its time. It reads the same directory and makes the same table for each request, and goes
# through all that it holds for each list.
try:
    import moto.backends as backends
    from moto.core.errors import ErrorLookupFactory
    from moto.s3.utils import _VersionedKeyStore

    modules, lookups = list(backends.list_of_moto_modules()), {}
    backends.list_of_moto_modules = lambda: modules
    ErrorLookupFactory.__init__ = lambda self: setattr(self, "_error_lut_cache", lookups)
    _VersionedKeyStore.items = lambda self: [(key, versions[-1]) for key, versions in dict.items(self)]
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
