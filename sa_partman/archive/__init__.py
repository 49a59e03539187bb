"""
Archives: a detached table as a file with a manifest beside it, verified row by row before the table goes, and back.

What is written, verified and restored is one thing: the rows as ``COPY`` prints them in a pinned session. An archive of
any format, read back, gives these very bytes again.
"""
