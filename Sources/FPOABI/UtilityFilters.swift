import CFPO
import FPOKernelTypes
import FPONumerics
import FPOObjectives

let utilityFilterParameters: [Parameter<fpo_utility_filter_config, UtilityFilterSettings>] = [
    .init(
        "estimates_curvature", \.estimates_curvature, \.curvatureCode, 0...1,
        "whether a curvature is estimated beside level and slope"),
    .init(
        "utility_scale", \.utility_scale, \.utilityScale, .leastNonzeroMagnitude...1e6,
        "prior standard deviation of utility; overstate it"),
    .init(
        "length_scale", \.length_scale, \.lengthScale, .leastNonzeroMagnitude...1e6,
        "distance over which utility varies by its scale"),
    .init(
        "noise_scale", \.noise_scale, \.noiseScale, .leastNonzeroMagnitude...1e6,
        "first guess of the standard deviation of a label's noise"),
    .init(
        "noise_memory", \.noise_memory, \.noiseMemory, 0...1,
        "weight of a new label in the estimate of the noise; 0 holds it fixed"),
]

extension UtilityFilterSettings {
    fileprivate var curvatureCode: Int {
        get { estimatesCurvature ? 1 : 0 }
        set { estimatesCurvature = newValue == 1 }
    }

    /// The settings that `c` describes, every field checked.
    fileprivate init(_ pointer: UnsafePointer<fpo_utility_filter_config>?) throws(Failure) {
        let c = try read(pointer, over: defaults, "config")
        self.init()
        for parameter in utilityFilterParameters { try parameter.read(c, into: &self, "config") }
    }
}

private var defaults: fpo_utility_filter_config {
    var c = fpo_utility_filter_config()
    for parameter in utilityFilterParameters { parameter.write(UtilityFilterSettings(), into: &c) }
    return c
}

@c @implementation
public func fpo_utility_filter_config_init(
    _ config: UnsafeMutablePointer<fpo_utility_filter_config>?, _ structSize: UInt32
) -> Int32 {
    boundary { () throws(Failure) in
        try fill(config, structSize, with: defaults, "fpo_utility_filter_config")
    }
}

@c @implementation
public func fpo_utility_filter_create(
    _ config: UnsafePointer<fpo_utility_filter_config>?, _ dimension: Int,
    _ reference: UnsafePointer<Double>?, _ level: Double, _ slope: UnsafePointer<Double>?,
    _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
    boundary { () throws(Failure) in
        let settings = try UtilityFilterSettings(config)
        try requireSize(dimension, "dimension")
        try require(dimension >= 1, FPO_ERR_DOMAIN, "dimension: 0, but must be >= 1")
        let reference = try finiteInput(reference, count: dimension, "reference")
        try requireFinite(level, "level")
        if slope != nil { _ = try finiteInput(slope, count: dimension, "slope") }
        let out = try unwrap(out, "out")
        out.pointee = Handle.create(
            try attempt { () throws(NumericsError) in
                try UtilityFilter(
                    settings, dimension: dimension, reference: reference, level: level,
                    slope: slope)
            })
    }
}

@c @implementation
public func fpo_utility_filter_move(
    _ filter: OpaquePointer?, _ reference: UnsafePointer<Double>?
) -> Int32 {
    boundary { () throws(Failure) in
        try Handle<UtilityFilter>.use(filter, "filter") { filter throws(Failure) in
            let reference = try finiteInput(reference, count: filter.dimension, "reference")
            try attempt { () throws(NumericsError) in try filter.move(to: reference) }
        }
    }
}

@c @implementation
public func fpo_utility_filter_observe(
    _ filter: OpaquePointer?, _ n: Int, _ x: UnsafePointer<Double>?, _ ldx: Int,
    _ label: UnsafePointer<Double>?
) -> Int32 {
    boundary { () throws(Failure) in
        try Handle<UtilityFilter>.use(filter, "filter") { filter throws(Failure) in
            let x = try finiteInput(x, n, filter.dimension, ld: ldx, "x")
            let label = try finiteInput(label, count: n, "label")
            try attempt { () throws(NumericsError) in try filter.observe(x, label: label) }
        }
    }
}

@c @implementation
public func fpo_utility_filter_estimate(
    _ filter: OpaquePointer?, _ n: Int, _ x: UnsafePointer<Double>?, _ ldx: Int,
    _ utility: UnsafeMutablePointer<Double>?, _ slope: UnsafeMutablePointer<Double>?, _ lds: Int
) -> Int32 {
    boundary { () throws(Failure) in
        try Handle<UtilityFilter>.use(filter, "filter") { filter throws(Failure) in
            let x = try finiteInput(x, n, filter.dimension, ld: ldx, "x")
            let utility = try output(utility, count: n, "utility")
            if slope != nil { _ = try output(slope, n, filter.dimension, ld: lds, "slope") }
            filter.estimate(x, into: utility, slope: slope, leadingDimension: lds)
        }
    }
}

@c @implementation
public func fpo_utility_filter_state(
    _ filter: OpaquePointer?, _ level: UnsafeMutablePointer<Double>?,
    _ slope: UnsafeMutablePointer<Double>?, _ curvature: UnsafeMutablePointer<Double>?,
    _ noise: UnsafeMutablePointer<Double>?
) -> Int32 {
    boundary { () throws(Failure) in
        try Handle<UtilityFilter>.use(filter, "filter") { filter throws(Failure) in
            level?.pointee = filter.level
            if let slope { for i in 0..<filter.dimension { slope[i] = filter.slope(i) } }
            curvature?.pointee = filter.curvature
            noise?.pointee = filter.noise
        }
    }
}

@c @implementation
public func fpo_utility_filter_destroy(_ filter: OpaquePointer?) {
    Handle<UtilityFilter>.destroy(filter)
}
