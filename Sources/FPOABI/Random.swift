import CFPO
import FPOKernelTypes
import FPONumerics

@c @implementation
public func fpo_random_key(_ seed: UInt64) -> UInt64 { RandomKey(seed: seed).value }

@c @implementation
public func fpo_random_fold(_ key: UInt64, _ index: UInt64) -> UInt64 {
    RandomKey(value: key).fold(index).value
}

@c @implementation
public func fpo_random_uniform_f64(
    _ key: UInt64, _ n: Int, _ out: UnsafeMutablePointer<Double>?
) -> Int32 {
    draw(key, n, out, \.uniform)
}

@c @implementation
public func fpo_random_uniform_f32(
    _ key: UInt64, _ n: Int, _ out: UnsafeMutablePointer<Float>?
) -> Int32 {
    draw(key, n, out, \.uniform)
}

@c @implementation
public func fpo_random_normal_f64(
    _ key: UInt64, _ n: Int, _ out: UnsafeMutablePointer<Double>?
) -> Int32 {
    draw(key, n, out, \.normal)
}

@c @implementation
public func fpo_random_normal_f32(
    _ key: UInt64, _ n: Int, _ out: UnsafeMutablePointer<Float>?
) -> Int32 {
    draw(key, n, out, \.normal)
}

private func draw<Element: KernelElement>(
    _ key: UInt64, _ n: Int, _ out: UnsafeMutablePointer<Element>?,
    _ distribution: (KernelTable<Element>) -> KernelTable<Element>.Stream
) -> Int32 {
    boundary { () throws(Failure) in
        let out = try output(out, count: n, "out")
        let kernels = try attempt { () throws(NumericsError) in try Element.kernels() }
        distribution(kernels)(key, n, out)
    }
}
