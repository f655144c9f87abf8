"""The studio: a web page, a REST API, plug-ins and a tool server over what the other packages do.

server/   what answers: addresses, security, routes, event streams
jobs/     what is asked for: a queue with leases, worker processes
actions/  what is done: one function a verb, warm models
library/  what came of it: takes in folders, provenance, quota
pages/    HTML, style sheets, scripts
plugins/  files for other programs
"""
