"""Training scenes larger than memory, block by block: `train --active-set GB`.

refusals   what of a training needs the whole scene in memory
visits     which photographs are trained on together, so that what they see fits
block      the steps of one visit: its Gaussians with their moments from the store and back
loop       visit after visit, what it takes to stop and resume
session    a run from photographs to results
"""
