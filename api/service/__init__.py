"""The HTTP service: what the resources of api/http/ share. One writer thread, lanes of readers, a listener, a front."""
