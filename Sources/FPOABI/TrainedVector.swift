import CFPO
import FPONumerics
import FPOTraining

/// Parameters that are trained as one flat vector, with their gradient and what their optimiser
/// remembers: what the functions of adapters and of text rewards share.
protocol TrainedVector: AnyObject {
    /// For messages.
    static var noun: String { get }
    /// The first bytes of a saved state.
    static var magic: SavedVector.Magic { get }
    var parameters: Matrix<Float> { get }
    var gradient: Matrix<Float> { get }
    var optimizer: VectorOptimizer { get }
    /// Of the steps so far; -1 before the first.
    var optimizerKind: Int32 { get set }
    /// What tells vectors of one length apart.
    var shape: (Int32, Int32) { get }
    /// What was computed from the parameters is void.
    func parametersChanged()
}

extension TrainedVector {
    func getParameters(_ out: UnsafeMutablePointer<Float>?) throws(Failure) {
        try unwrap(out, "out").update(from: parameters.base, count: parameters.count)
    }

    func setParameters(_ new: UnsafePointer<Float>?) throws(Failure) {
        let new = try finiteInput(new, count: parameters.count, "parameters")
        parametersChanged()
        parameters.base.update(from: new, count: parameters.count)
    }

    func getGradient(_ out: UnsafeMutablePointer<Float>?) throws(Failure) {
        try unwrap(out, "out").update(from: gradient.base, count: gradient.count)
    }

    /// NULL stands for zeros.
    func setGradient(_ new: UnsafePointer<Float>?) throws(Failure) {
        guard new != nil else { return gradient.fill(0) }
        let new = try finiteInput(new, count: gradient.count, "gradient")
        gradient.base.update(from: new, count: gradient.count)
    }

    func scaleGradient(_ factor: Double) throws(Failure) {
        try requireFinite(factor, "factor")
        for i in 0..<gradient.count { gradient.base[i] *= Float(factor) }
    }

    func getGradientNorm(_ out: UnsafeMutablePointer<Double>?) throws(Failure) {
        let out = try unwrap(out, "out"), gradient = gradient
        out.pointee = try attempt { () throws(NumericsError) in
            try Float.kernels().dot(gradient.count, gradient.base, gradient.base).squareRoot()
        }
    }

    func step(_ config: UnsafePointer<fpo_optimizer_config>?) throws(Failure) {
        let config = try read(config, over: optimizerDefaults, "config")
        let rule = try optimizerRule(config, of: Float.self)
        try require(
            optimizerKind == -1 || optimizerKind == config.kind, FPO_ERR_STATE,
            "config.kind: \(config.kind), but this \(Self.noun)'s steps so far are of kind "
                + "\(optimizerKind)")
        try require(
            optimizer.steps == 0 || optimizer.momentCount == rule.momentCount, FPO_ERR_STATE,
            "config.momentum: must not become or cease to be 0 between steps")
        try requireFinite(gradient.base, 1, gradient.count, gradient.count, "the gradient")
        let (optimizer, parameters, gradient) = (optimizer, parameters, gradient)
        try attempt { () throws(NumericsError) in
            try optimizer.step(rule, parameters: parameters, gradient: gradient)
        }
        parametersChanged()
        optimizerKind = config.kind
    }

    func save(
        _ buffer: UnsafeMutableRawPointer?, _ capacity: Int, _ needed: UnsafeMutablePointer<Int>?
    ) throws(Failure) {
        var header = SavedVector(self)
        let size = SavedVector.size + 4 * header.floats
        if capacity != 0 {
            let out = try unwrap(buffer, "buffer")
            try require(
                capacity < 0 || capacity >= size, FPO_ERR_SHAPE,
                "capacity: \(capacity), but the state takes \(size) bytes")
            out.copyMemory(from: &header, byteCount: SavedVector.size)
            let floats = out + SavedVector.size, moments = optimizer.moments
            floats.copyMemory(from: parameters.base, byteCount: 4 * parameters.count)
            if let base = moments.baseAddress {
                (floats + 4 * parameters.count).copyMemory(
                    from: base, byteCount: 4 * moments.count)
            }
        }
        needed?.pointee = size
    }

    func load(_ bytes: UnsafeRawPointer?, _ size: Int) throws(Failure) {
        let bytes = try unwrap(bytes, "bytes")
        try require(
            size >= SavedVector.size, FPO_ERR_FORMAT,
            "bytes: \(size), too few for the state of a \(Self.noun)")
        let header = bytes.loadUnaligned(as: SavedVector.self), own = SavedVector(self)
        try require(
            header.fits(own) && size == SavedVector.size + 4 * header.floats, FPO_ERR_FORMAT,
            "bytes: not saved by a \(Self.noun) of this kind with \(own.count) parameters")
        let floats = try attempt { () throws(NumericsError) in try Buffer<Float>(header.floats) }
        UnsafeMutableRawPointer(floats.base).copyMemory(
            from: bytes + SavedVector.size, byteCount: 4 * header.floats)
        try requireFinite(floats.base, 1, header.floats, header.floats, "bytes")
        let optimizer = optimizer, count = parameters.count
        try attempt { () throws(NumericsError) in
            try optimizer.restore(
                steps: Int(header.steps), momentCount: Int(header.momentCount),
                moments: floats.base + count)
        }
        optimizerKind = header.kind
        parametersChanged()
        parameters.base.update(from: floats.base, count: count)
    }
}

/// What precedes the parameters and moments in saved bytes.
struct SavedVector: BitwiseCopyable {
    typealias Magic = (UInt8, UInt8, UInt8, UInt8)

    var magic: Magic
    var kind: Int32
    var shape: (Int32, Int32)
    var momentCount: Int32
    var count, steps: Int64

    init<T: TrainedVector>(_ state: T) {
        magic = T.magic
        kind = state.optimizerKind
        shape = state.shape
        momentCount = Int32(state.optimizer.momentCount)
        count = Int64(state.parameters.count)
        steps = Int64(state.optimizer.steps)
    }

    /// Whether bytes with this header belong to a vector like the one of `other`.
    func fits(_ other: SavedVector) -> Bool {
        magic == other.magic && shape == other.shape && count == other.count && kind >= -1
            && Int(kind) <= FPO_OPTIMIZER_ADAMW && steps >= 0 && momentCount >= 0
            && momentCount <= 2 && (kind == -1) == (steps == 0)
    }

    var floats: Int { Int(count) * (1 + Int(momentCount)) }
    static let size = MemoryLayout<SavedVector>.size
}
