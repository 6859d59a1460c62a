"""A scene in the browser: a small server of this machine, and the page that it serves.

The page draws splats itself, with the modules that exported pages have inside them (`gsplat_core/io/viewer`).
What a browser cannot draw is rendered here and sent as a picture (`stills`).
"""
