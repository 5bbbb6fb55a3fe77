"""AWS as its documentation promises it and no more: fakes beneath the real stores, at the level of botocore's calls.

Each module is one service. What a service decides is here; when a call reaches it, and whether its answer comes back,
is the business of whoever carries the call (`carrier`). `tests/contract/test_cloud_fakes.py` asks the same of these
fakes and of the laptop cloud.
"""
