// A network that PyTorch exported, run by Convoy's kernels.
#include <gtest/gtest.h>

#include <cmath>

#include "launcher/inference.h"
#include "tests/core/io/testing.h"
#include "tests/launcher/exchange/onnx_model.h"

namespace convoy {
namespace {

// tests/oracles/onnx_network.py with torch 2.15 and onnxruntime 1.32: the file, in base64, and its logits of two
// images.
const char* const kNetwork =
    "CAcSB3B5dG9yY2gaBjIuMTUuMDrLNQqVAQoBeAoLc3RlbS53ZWlnaHQSEy9zdGVtL0NvbnZfb3V0cHV0XzAaCi9zdGVtL0NvbnYiBENvbnYqEgoJZG"
    "lsYXRpb25zQAFAAaABByoMCgVncm91cBgBoAECKhUKDGtlcm5lbF9zaGFwZUADQAOgAQcqEQoEcGFkc0ABQAFAAUABoAEHKhAKB3N0cmlkZXNAAkAC"
    "oAEHCsoBChMvc3RlbS9Db252X291dHB1dF8wCgtub3JtLndlaWdodAoJbm9ybS5iaWFzChFub3JtLnJ1bm5pbmdfbWVhbgoQbm9ybS5ydW5uaW5nX3"
    "ZhchIhL25vcm0vQmF0Y2hOb3JtYWxpemF0aW9uX291dHB1dF8wGhgvbm9ybS9CYXRjaE5vcm1hbGl6YXRpb24iEkJhdGNoTm9ybWFsaXphdGlvbioR"
    "CgdlcHNpbG9uFW8SgzqgAQEqEgoIbW9tZW50dW0VZmZmP6ABAQpACiEvbm9ybS9CYXRjaE5vcm1hbGl6YXRpb25fb3V0cHV0XzASDi9SZWx1X291dH"
    "B1dF8wGgUvUmVsdSIEUmVsdQrBAQoOL1JlbHVfb3V0cHV0XzAKEGRlcHRod2lzZS53ZWlnaHQKDmRlcHRod2lzZS5iaWFzEhgvZGVwdGh3aXNlL0Nv"
    "bnZfb3V0cHV0XzAaDy9kZXB0aHdpc2UvQ29udiIEQ29udioSCglkaWxhdGlvbnNAAUABoAEHKgwKBWdyb3VwGASgAQIqFQoMa2VybmVsX3NoYXBlQA"
    "NAAaABByoRCgRwYWRzQAFAAEABQACgAQcqEAoHc3RyaWRlc0ABQAGgAQcKYRIYL2dyb3VwL0NvbnN0YW50X291dHB1dF8wGg8vZ3JvdXAvQ29uc3Rh"
    "bnQiCENvbnN0YW50KioKBXZhbHVlKh4IAxAHShgAAAAAAAAAAAIAAAAAAAAA//////////+gAQQKZgoYL2RlcHRod2lzZS9Db252X291dHB1dF8wCh"
    "gvZ3JvdXAvQ29uc3RhbnRfb3V0cHV0XzASFy9ncm91cC9SZXNoYXBlX291dHB1dF8wGg4vZ3JvdXAvUmVzaGFwZSIHUmVzaGFwZQpVEhovZ3JvdXAv"
    "Q29uc3RhbnRfMV9vdXRwdXRfMBoRL2dyb3VwL0NvbnN0YW50XzEiCENvbnN0YW50KhoKBXZhbHVlKg4IAhABSggAAIA/AACAP6ABBApVEhovZ3JvdX"
    "AvQ29uc3RhbnRfMl9vdXRwdXRfMBoRL2dyb3VwL0NvbnN0YW50XzIiCENvbnN0YW50KhoKBXZhbHVlKg4IAhABSggAAAAAAAAAAKABBArAAQoXL2dy"
    "b3VwL1Jlc2hhcGVfb3V0cHV0XzAKGi9ncm91cC9Db25zdGFudF8xX291dHB1dF8wChovZ3JvdXAvQ29uc3RhbnRfMl9vdXRwdXRfMBIlL2dyb3VwL0"
    "luc3RhbmNlTm9ybWFsaXphdGlvbl9vdXRwdXRfMBocL2dyb3VwL0luc3RhbmNlTm9ybWFsaXphdGlvbiIVSW5zdGFuY2VOb3JtYWxpemF0aW9uKhEK"
    "B2Vwc2lsb24VrMUnN6ABAQpGChgvZGVwdGh3aXNlL0NvbnZfb3V0cHV0XzASFS9ncm91cC9TaGFwZV9vdXRwdXRfMBoML2dyb3VwL1NoYXBlIgVTaG"
    "FwZQp0CiUvZ3JvdXAvSW5zdGFuY2VOb3JtYWxpemF0aW9uX291dHB1dF8wChUvZ3JvdXAvU2hhcGVfb3V0cHV0XzASGS9ncm91cC9SZXNoYXBlXzFf"
    "b3V0cHV0XzAaEC9ncm91cC9SZXNoYXBlXzEiB1Jlc2hhcGUKXRIaL2dyb3VwL0NvbnN0YW50XzNfb3V0cHV0XzAaES9ncm91cC9Db25zdGFudF8zIg"
    "hDb25zdGFudCoiCgV2YWx1ZSoWCAIQB0oQAQAAAAAAAAACAAAAAAAAAKABBApiCgxncm91cC53ZWlnaHQKGi9ncm91cC9Db25zdGFudF8zX291dHB1"
    "dF8wEhkvZ3JvdXAvVW5zcXVlZXplX291dHB1dF8wGhAvZ3JvdXAvVW5zcXVlZXplIglVbnNxdWVlemUKXAoZL2dyb3VwL1Jlc2hhcGVfMV9vdXRwdX"
    "RfMAoZL2dyb3VwL1Vuc3F1ZWV6ZV9vdXRwdXRfMBITL2dyb3VwL011bF9vdXRwdXRfMBoKL2dyb3VwL011bCIDTXVsCl0SGi9ncm91cC9Db25zdGFu"
    "dF80X291dHB1dF8wGhEvZ3JvdXAvQ29uc3RhbnRfNCIIQ29uc3RhbnQqIgoFdmFsdWUqFggCEAdKEAEAAAAAAAAAAgAAAAAAAACgAQQKZAoKZ3JvdX"
    "AuYmlhcwoaL2dyb3VwL0NvbnN0YW50XzRfb3V0cHV0XzASGy9ncm91cC9VbnNxdWVlemVfMV9vdXRwdXRfMBoSL2dyb3VwL1Vuc3F1ZWV6ZV8xIglV"
    "bnNxdWVlemUKWAoTL2dyb3VwL011bF9vdXRwdXRfMAobL2dyb3VwL1Vuc3F1ZWV6ZV8xX291dHB1dF8wEhMvZ3JvdXAvQWRkX291dHB1dF8wGgovZ3"
    "JvdXAvQWRkIgNBZGQKOwoTL2dyb3VwL0FkZF9vdXRwdXRfMBIRL1NpZ21vaWRfb3V0cHV0XzAaCC9TaWdtb2lkIgdTaWdtb2lkCkIKEy9ncm91cC9B"
    "ZGRfb3V0cHV0XzAKES9TaWdtb2lkX291dHB1dF8wEg0vTXVsX291dHB1dF8wGgQvTXVsIgNNdWwKTwoOL1JlbHVfb3V0cHV0XzAKDS9NdWxfb3V0cH"
    "V0XzASEC9Db25jYXRfb3V0cHV0XzAaBy9Db25jYXQiBkNvbmNhdCoLCgRheGlzGAGgAQIKqwEKEC9Db25jYXRfb3V0cHV0XzAKCm1peC53ZWlnaHQK"
    "CG1peC5iaWFzEhIvbWl4L0NvbnZfb3V0cHV0XzAaCS9taXgvQ29udiIEQ29udioSCglkaWxhdGlvbnNAAUABoAEHKgwKBWdyb3VwGAGgAQIqFQoMa2"
    "VybmVsX3NoYXBlQAFAAaABByoRCgRwYWRzQABAAEAAQACgAQcqEAoHc3RyaWRlc0ABQAGgAQcKPQoSL21peC9Db252X291dHB1dF8wCg0vTXVsX291"
    "dHB1dF8wEg0vQWRkX291dHB1dF8wGgQvQWRkIgNBZGQKPxISL0NvbnN0YW50X291dHB1dF8wGgkvQ29uc3RhbnQiCENvbnN0YW50KhQKBXZhbHVlKg"
    "gQAUoE8wS1P6ABBAo9Cg0vQWRkX291dHB1dF8wChIvQ29uc3RhbnRfb3V0cHV0XzASDS9EaXZfb3V0cHV0XzAaBC9EaXYiA0RpdgopCg0vRGl2X291"
    "dHB1dF8wEg0vRXJmX291dHB1dF8wGgQvRXJmIgNFcmYKQxIUL0NvbnN0YW50XzFfb3V0cHV0XzAaCy9Db25zdGFudF8xIghDb25zdGFudCoUCgV2YW"
    "x1ZSoIEAFKBAAAgD+gAQQKQwoNL0VyZl9vdXRwdXRfMAoUL0NvbnN0YW50XzFfb3V0cHV0XzASDy9BZGRfMV9vdXRwdXRfMBoGL0FkZF8xIgNBZGQK"
    "PgoNL0FkZF9vdXRwdXRfMAoPL0FkZF8xX291dHB1dF8wEg8vTXVsXzFfb3V0cHV0XzAaBi9NdWxfMSIDTXVsCkMSFC9Db25zdGFudF8yX291dHB1dF"
    "8wGgsvQ29uc3RhbnRfMiIIQ29uc3RhbnQqFAoFdmFsdWUqCBABSgQAAAA/oAEECkUKDy9NdWxfMV9vdXRwdXRfMAoUL0NvbnN0YW50XzJfb3V0cHV0"
    "XzASDy9NdWxfMl9vdXRwdXRfMBoGL011bF8yIgNNdWwKmQEKDy9NdWxfMl9vdXRwdXRfMBIRL01heFBvb2xfb3V0cHV0XzAaCC9NYXhQb29sIgdNYX"
    "hQb29sKhAKCWNlaWxfbW9kZRgBoAECKhIKCWRpbGF0aW9uc0ABQAGgAQcqFQoMa2VybmVsX3NoYXBlQAJAAqABByoRCgRwYWRzQABAAEAAQACgAQcq"
    "EAoHc3RyaWRlc0ACQAKgAQcKQxIUL0NvbnN0YW50XzNfb3V0cHV0XzAaCy9Db25zdGFudF8zIghDb25zdGFudCoUCgV2YWx1ZSoIEAFKBAAAAACgAQ"
    "QKQxIUL0NvbnN0YW50XzRfb3V0cHV0XzAaCy9Db25zdGFudF80IghDb25zdGFudCoUCgV2YWx1ZSoIEAFKBAAAwECgAQQKPgoUL0NvbnN0YW50XzNf"
    "b3V0cHV0XzASDi9DYXN0X291dHB1dF8wGgUvQ2FzdCIEQ2FzdCoJCgJ0bxgBoAECCkIKFC9Db25zdGFudF80X291dHB1dF8wEhAvQ2FzdF8xX291dH"
    "B1dF8wGgcvQ2FzdF8xIgRDYXN0KgkKAnRvGAGgAQIKUgoRL01heFBvb2xfb3V0cHV0XzAKDi9DYXN0X291dHB1dF8wChAvQ2FzdF8xX291dHB1dF8w"
    "Eg4vQ2xpcF9vdXRwdXRfMBoFL0NsaXAiBENsaXAKqgEKDi9DbGlwX291dHB1dF8wEhUvQXZlcmFnZVBvb2xfb3V0cHV0XzAaDC9BdmVyYWdlUG9vbC"
    "ILQXZlcmFnZVBvb2wqEAoJY2VpbF9tb2RlGACgAQIqGAoRY291bnRfaW5jbHVkZV9wYWQYAaABAioVCgxrZXJuZWxfc2hhcGVAA0ADoAEHKhEKBHBh"
    "ZHNAAUABQAFAAaABByoQCgdzdHJpZGVzQAFAAaABBwpUChUvQXZlcmFnZVBvb2xfb3V0cHV0XzASEy9MZWFreVJlbHVfb3V0cHV0XzAaCi9MZWFreV"
    "JlbHUiCUxlYWt5UmVsdSoPCgVhbHBoYRUK1yM8oAEBCkkSFC9Db25zdGFudF81X291dHB1dF8wGgsvQ29uc3RhbnRfNSIIQ29uc3RhbnQqGgoFdmFs"
    "dWUqDggCEAFKCAAAgD8AAIA/oAEECkkSFC9Db25zdGFudF82X291dHB1dF8wGgsvQ29uc3RhbnRfNiIIQ29uc3RhbnQqGgoFdmFsdWUqDggCEAFKCA"
    "AAAEAAAABAoAEECmAKFC9Db25zdGFudF81X291dHB1dF8wChQvQ29uc3RhbnRfNl9vdXRwdXRfMBISL0NvbmNhdF8xX291dHB1dF8wGgkvQ29uY2F0"
    "XzEiBkNvbmNhdCoLCgRheGlzGACgAQIKxQEKEy9MZWFreVJlbHVfb3V0cHV0XzAKAAoSL0NvbmNhdF8xX291dHB1dF8wEhAvUmVzaXplX291dHB1dF"
    "8wGgcvUmVzaXplIgZSZXNpemUqLwoeY29vcmRpbmF0ZV90cmFuc2Zvcm1hdGlvbl9tb2RlIgpoYWxmX3BpeGVsoAEDKhcKDWN1YmljX2NvZWZmX2EV"
    "AABAv6ABASoRCgRtb2RlIgZsaW5lYXKgAQMqGAoMbmVhcmVzdF9tb2RlIgVmbG9vcqABAwpxChAvUmVzaXplX291dHB1dF8wEhcvQXZlcmFnZVBvb2"
    "xfMV9vdXRwdXRfMBoOL0F2ZXJhZ2VQb29sXzEiC0F2ZXJhZ2VQb29sKhUKDGtlcm5lbF9zaGFwZUACQAKgAQcqEAoHc3RyaWRlc0ACQAKgAQcKTAoX"
    "L0F2ZXJhZ2VQb29sXzFfb3V0cHV0XzASES9GbGF0dGVuX291dHB1dF8wGggvRmxhdHRlbiIHRmxhdHRlbioLCgRheGlzGAGgAQIKbgoRL0ZsYXR0ZW"
    "5fb3V0cHV0XzAKCnRvcC53ZWlnaHQKCHRvcC5iaWFzEgI2MBoJL3RvcC9HZW1tIgRHZW1tKg8KBWFscGhhFQAAgD+gAQEqDgoEYmV0YRUAAIA/oAEB"
    "Kg0KBnRyYW5zQhgBoAECEgptYWluX2dyYXBoKsoDCAQIAwgDCAMQAUILc3RlbS53ZWlnaHRKsAObBby+dP0Mv2jOJT/ecZY+CDOuPuUCgT4VuH2+Up"
    "jXPqByHL+Tgcc90wKiPvnf9D55+bK+JD3yvsJWhj5xUA6/MO0Uv2goIb/zzK2+OtIIvvo91L54ipe+5K0ev8tJ3D7RGCS+fyHivlmfOj5A/QW/Y+D6"
    "PugVzj4XGjC/j6kMvw9S7L5aA8K+fgCzPQE0Mb9a2gS/Ca2jPs7Car6KnY6+sT8Uv31DkT52eEo9TIiKvnZ6276McRg+DQlDPm0Unz7HBFU+YbDavW"
    "O4Cr8SKeQ+mZ/EuyUw7r5Piho/PNPHPqvWDL+3/bK+IO5zvvjlzr48Xqc+Nq7/vv2KJj+YI5S+AY7TPsZIwzwCn52+VlXvPlK8CL97n72+9tSrPaIn"
    "Dj/zjpm+pT3avujO5L6mAp6+j5t3vjz1Jr6D48u+SghgPplJujvMKuq+Z6vMvqzIFz7m1SO8Iqj9PgBU2b2UKxG/3okEvxFmUr42wR6+MJujPc/BIL"
    "61PYQ+ZGVuvkmGAz/VoyQ+tV5cvgO0Hz+l/jY+p5Dzvhl3x77guOA+VLCjPhbrCz/9Ply9Hqz6PlIwsj4qIwgEEAFCC25vcm0ud2VpZ2h0ShDvrF0+"
    "guYlviu/LD/oDRE+KiEIBBABQglub3JtLmJpYXNKELnxOL4ZDyO8iykwPz248D4qKQgEEAFCEW5vcm0ucnVubmluZ19tZWFuShD0226+UwUdPzvZIL"
    "9xcsm+KigIBBABQhBub3JtLnJ1bm5pbmdfdmFyShCXOYc/qtC4P5RNqz8UOQg/Kk4IBAgBCAMIARABQhBkZXB0aHdpc2Uud2VpZ2h0SjAzelS9d64v"
    "P9pinT560b6+mRUjv7NH0D5DDyg/EdDQvvwzkz7zHvQ8rUMZvsjnQr4qJggEEAFCDmRlcHRod2lzZS5iaWFzShA2akc+5QUePgUR8j50M4M+KiQIBB"
    "ABQgxncm91cC53ZWlnaHRKEK8Xoz4gFR4/cjNfPqPO1D0qIggEEAFCCmdyb3VwLmJpYXNKEA97gr5ibAM/S7fTPWkD5z4qmQEIBAgICAEIARABQgpt"
    "aXgud2VpZ2h0SoABOgstP39QIL6JWfw+cZERviS3IT8nDA0/nXaAvmaozTwfhJy+MfSQvvAgEb6zYZy7Hd95vh0qKb8oxdi+gAN1vQXTZL4MGgU/+a"
    "kRP75S5D4In54+LxAOv0RNKT+w6R2/I6drvlk//L5z4YA+dx0Vv2+wsL7oqOO+qk3cvspOp74qIAgEEAFCCG1peC5iaWFzShAqKDA/BjBqvUGAWj6U"
    "4zG/KpUKCAUIQBABQgp0b3Aud2VpZ2h0SoAKVFQfP3MWHL6udSS/pv72Pn3RQb68vCI/0W/zvghgJr/qnwa/SECbPhPGoL2rAya/KOgEPrDCNr2heo"
    "E+l0+2vo/b/76PR/Q+W3asvm0c/D7hSxE/EaT6vqE8pb7jk6w9K/Yov4EiXD7nVJW+FeievpeICr+Jqqc+rWPkviI8D786gDy+n4XHvsY3Lr+8cJA+"
    "4luIvv8L+z6uSPw+tpPkvvbv0L7kbn6+Qe/RPi1lxbxZCYC+mwXePpPxKT9tewQ/BQkJvwLhFL6vfQm+Be4YPxJeub7uaM2+GXAzPAGDJr4iqYc+u0"
    "GuPd771b4YTgI/qRjfPi34HD7CMiK/RmuoPrUk7j7Pjkc+gImKvj1LQD3Irom+ZrUoP9MJLT9LEKe9byHxvmjU0j7F67Y+tfq9Pu3WBr+bDnM+g/KY"
    "viCCHb8vQ/q+me2XPmUthj4kRx2/gz3LPmpPCT8nCQg/MV7KPogL4b3NJvA+w0oMP8nTuj7A4wC/Fit6vi73DT8qngg//K/kPgbMlb4C9g2+doEFv6"
    "VAzL5ajwk/ZRUTv68jMb6AJxg+XgvXvigWJz4jdea9KFWPPuCDCb+218U9lGEjv0FZ3j7MES4/hdd/vpj80z3Cpri+XkPlvoiDtb6bvaq+exAIPlZU"
    "pL2TCUk9l1MJv0gr4b4aIxu/hMwAv6sQFj+KJ4U+Iucqvx1G770QHGY9U3e/PjUzJj/8Fi0+K3j8Pq8Rf77AXbu8o1rYvichJT5daSU/ThHhPo5RMj"
    "+0faG+IWCzvVfbEz5nEhA/Xrokv6IDsL5z9c89ESjPvlfihT6jeEO9Mb45voM2wD61EQA/SE4uP1tMoj4N0py834MSP3KdDj8kn7O+F0CjPj38pz31"
    "45q+BLQqvoxCKb6BzPq+U7xavl01cT7JjQM/FstZPZ2JLb8p0L0+keRYvuYIID9JKC2/FLUnvj/5Cj9NC5s+Bs+yvqorG7+ZXPa7MXSKPnXFFL+G9B"
    "W/pl8QvMABE77DW+Y+D6Itv3AF5L0D3gq/fc3QvV8dt759l2E+IukVvz34DL+CY8u+M/Mcvw8/4j7rKc29Rx/Hvh8k+z4QoCK+bly5PlAzXr507RW/"
    "zW0dPiws3z7IuS6/gTuVPcHdDj7DiqQ9BueNvFXQXr6QHgu/49PpPfW08L5GEBS/dyFmvk9Y9b4Ns1s+8kn/PtFECz/oJN6++mXDPg2v/j5ZpwA8cj"
    "SXPivMyj5NHQk/LcW/PjX7mD7JB4i+U9LHvqfyqb5acRM/FJ0tvsYZzTyHHie/gLj+vJE1Sr7fQOe+psgKPxcVEb+57sy9g0tLvf46Ir+Usdg+uRNk"
    "vq4CoT6jB8g+OQQeP9VMMT4niAY/6X8lP+UQDj4JDRK+hUJEvm5B6D1S+oA+1Q0pv0ZEBj+jEeI9IO4mv+yYZT4OcuM+M+uFPrRGEj+zGW08m6oUvz"
    "Mh0LpkQAI/iWKsvmDemD6JOyU+M5rovTMDozs/e5g+iUH1vm5J4j4fo/I+Sx3JPtoRMz+tZvq8hRT9vlnsAj3Y9U++7wl9PmCVFz8TKsS+eSHwPOFL"
    "Lj8LDg+/+GL3vYcDLj9sbfo+WQtQPg2Umr5zo4W9a7Egvw62KL8R5ie/2x0sPxS8DT+9Ko4+pQo0vixKGj+EVj2+ys/4Pq2iurxLmKi+eQ5IvpEOGb"
    "49ByS/B1pWPhFlWr6CqaQ+poLkPnbt470qJAgFEAFCCHRvcC5iaWFzShQZ0a0+rTYPPryw8D6hIue+Lbp7vVocCgF4EhcKFQgBEhEKAxIBTgoCCAMK"
    "AggNCgIIEGIgCgI2MBIaChgIARIUCg4SDEdlbW02MF9kaW1fMAoCCAVCAhAN";
const std::vector<float> kLogits = {-0.3994912, -0.2171896, 2.472491, -1.49771, 0.6041141,
                                    -0.2775124, -0.6102283, 2.273717, -1.10251, -0.007506642};

constexpr int kImages = 2, kHeight = 13, kWidth = 16, kChannels = 3;

// sin(0.37 i), where i counts in the order N,C,H,W, as N,H,W,C.
std::vector<float> images() {
  std::vector<float> values;
  for (int n = 0; n < kImages; ++n) {
    for (int y = 0; y < kHeight; ++y) {
      for (int x = 0; x < kWidth; ++x) {
        for (int c = 0; c < kChannels; ++c) {
          const int i = ((n * kChannels + c) * kHeight + y) * kWidth + x;
          values.push_back(static_cast<float>(std::sin(0.37 * i)));
        }
      }
    }
  }
  return values;
}

void expect_logits(const Network& network) {
  Experiment experiment;
  experiment.device = DeviceChoice::kCpu;
  const std::unique_ptr<Communicator> host = make_solo_communicator();
  Backend backend = make_backend(experiment, *host, 1);
  for (const bool fold : {false, true}) {
    Inference inference(network, backend, {.rows = kImages, .pixels = false, .fold = fold});
    const std::span<const float> logits = inference.run(std::span<const float>(images()));
    ASSERT_EQ(logits.size(), kLogits.size());
    for (size_t i = 0; i < kLogits.size(); ++i) EXPECT_NEAR(logits[i], kLogits[i], 1e-5) << i << ", folded: " << fold;
  }
}

TEST(OnnxValues, AreThoseOfOnnxruntime) {
  const std::string file = from_base64(kNetwork);
  const Network network = opened_network(from_onnx(parse_onnx(std::as_bytes(std::span(file)), "m.onnx"), "m.onnx"));
  EXPECT_EQ(network.sample, (Shape{1, kHeight, kWidth, kChannels}));
  EXPECT_EQ(network.config.classes, 5);
  expect_logits(network);
}

TEST(OnnxValues, StayTheSameWhereConvoyWritesTheFile) {
  const std::string file = from_base64(kNetwork);
  const Network network = opened_network(from_onnx(parse_onnx(std::as_bytes(std::span(file)), "m.onnx"), "m.onnx"));
  for (const bool fold : {false, true})
    expect_logits(opened_network(from_onnx(to_onnx(network, {.fold_batch_norm = fold}), "again.onnx")));
}

}  // namespace
}  // namespace convoy
