"""`python -m api` is `kejin`."""

from api.main import main

main()
