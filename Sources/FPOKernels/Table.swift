public import FPOKernelTypes

#if ELEMENT_F32
    public typealias Table = KernelTable<Float>
#else
    public typealias Table = KernelTable<Double>
#endif

/// The kernels of this module.
public let table = Table(
    lanes: Lanes.scalarCount,
    exp: { n, x, y in map(n, x, y) { exponentialWhole($0) } },
    log: { n, x, y in map(n, x, y) { logarithmWhole($0) } },
    tanh: { n, x, y in map(n, x, y) { hyperbolicTangent($0) } },
    sigmoid: { n, x, y in map(n, x, y) { sigmoidWhole($0) } },
    softplus: { n, x, y in map(n, x, y) { softplusWhole($0) } },
    dot: { dot($0, $1, $2) },
    differenceDot: { differenceDot($0, $1, $2, $3) },
    uniform: { uniform($0, $1, $2) },
    normal: { normal($0, $1, $2) })
