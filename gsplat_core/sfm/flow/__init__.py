"""Poses, a focal length and depths from optical flow alone: FlowMap (Smith et al. 2024).

Flow comes from files (`files`) or is found here (`finding`); what it takes for the same becomes `matches`,
over more than one frame by `followed`; COLMAP's tracks are matches, too (`tracks`). `flowmap` finds what
explains them, and `capture` makes a COLMAP model of that.
"""
