"""The flow of one paid request, ask by ask, with the network scripted (``scripted_flow``)."""
