import CFPO
import FPONumerics
import FPOObjectives

@c @implementation
public func fpo_overconfidence_f64(
    _ n: Int, _ reward: UnsafePointer<Double>?, _ referenceReward: UnsafePointer<Double>?,
    _ label: UnsafePointer<Double>?, _ overconfidence: UnsafeMutablePointer<Double>?
) -> Int32 {
    boundary { () throws(Failure) in
        let reward = try finiteInput(reward, count: n, "reward")
        let label = try finiteInput(label, count: n, "label")
        let output = try output(overconfidence, count: n, "overconfidence")
        if referenceReward != nil {
            _ = try finiteInput(referenceReward, count: n, "reference_reward")
            for i in 0..<n where !(0...1).contains(label[i]) {
                throw Failure(
                    FPO_ERR_DOMAIN, "label[\(i)]: \(label[i]), but a soft label is in [0, 1]")
            }
        }
        Overconfidence.evaluate(
            count: n, reward: reward, referenceReward: referenceReward, label: label, into: output)
    }
}

@c @implementation
public func fpo_practical_penalty_f64(
    _ n: Int, _ p: Int, _ gradients: UnsafePointer<Double>?, _ ldg: Int,
    _ reference: UnsafePointer<Double>?, _ ldr: Int, _ shiftInvariant: Int32,
    _ penalty: UnsafeMutablePointer<Double>?
) -> Int32 {
    practical(n, p, gradients, ldg, reference, ldr, shiftInvariant, penalty)
}

@c @implementation
public func fpo_practical_penalty_f32(
    _ n: Int, _ p: Int, _ gradients: UnsafePointer<Float>?, _ ldg: Int,
    _ reference: UnsafePointer<Float>?, _ ldr: Int, _ shiftInvariant: Int32,
    _ penalty: UnsafeMutablePointer<Double>?
) -> Int32 {
    practical(n, p, gradients, ldg, reference, ldr, shiftInvariant, penalty)
}

private func practical<Element: KernelElement>(
    _ n: Int, _ p: Int, _ gradients: UnsafePointer<Element>?, _ ldg: Int,
    _ reference: UnsafePointer<Element>?, _ ldr: Int, _ shiftInvariant: Int32,
    _ penalty: UnsafeMutablePointer<Double>?
) -> Int32 {
    boundary { () throws(Failure) in
        let gradients = try finiteInput(gradients, n, p, ld: ldg, "gradients")
        let reference = try optionalInput(reference, n, p, ld: ldr, "reference")
        try requireFlag(shiftInvariant, "shift_invariant")
        let penalty = try output(penalty, count: n, "penalty")
        try attempt { () throws(NumericsError) in
            try FPOPenalty.practical(
                gradients: gradients, reference: reference, shiftInvariant: shiftInvariant == 1,
                into: penalty)
        }
    }
}

@c @implementation
public func fpo_relaxed_penalty_f64(
    _ n: Int, _ p: Int, _ gradients: UnsafePointer<Double>?, _ ldg: Int,
    _ reference: UnsafePointer<Double>?, _ ldr: Int, _ overconfidence: UnsafePointer<Double>?,
    _ penalty: UnsafeMutablePointer<Double>?
) -> Int32 {
    relaxed(n, p, gradients, ldg, reference, ldr, overconfidence, penalty)
}

@c @implementation
public func fpo_relaxed_penalty_f32(
    _ n: Int, _ p: Int, _ gradients: UnsafePointer<Float>?, _ ldg: Int,
    _ reference: UnsafePointer<Float>?, _ ldr: Int, _ overconfidence: UnsafePointer<Double>?,
    _ penalty: UnsafeMutablePointer<Double>?
) -> Int32 {
    relaxed(n, p, gradients, ldg, reference, ldr, overconfidence, penalty)
}

private func relaxed<Element: KernelElement>(
    _ n: Int, _ p: Int, _ gradients: UnsafePointer<Element>?, _ ldg: Int,
    _ reference: UnsafePointer<Element>?, _ ldr: Int, _ overconfidence: UnsafePointer<Double>?,
    _ penalty: UnsafeMutablePointer<Double>?
) -> Int32 {
    boundary { () throws(Failure) in
        let gradients = try finiteInput(gradients, n, p, ld: ldg, "gradients")
        let reference = try optionalInput(reference, n, p, ld: ldr, "reference")
        let overconfidence = try finiteInput(overconfidence, count: n, "overconfidence")
        let penalty = try output(penalty, count: n, "penalty")
        try attempt { () throws(NumericsError) in
            try FPOPenalty.relaxed(
                gradients: gradients, reference: reference, overconfidence: overconfidence,
                into: penalty)
        }
    }
}

@c @implementation
public func fpo_exact_penalty_f64(
    _ n: Int, _ p: Int, _ gradients: UnsafePointer<Double>?, _ ldg: Int,
    _ reference: UnsafePointer<Double>?, _ ldr: Int, _ overconfidence: UnsafePointer<Double>?,
    _ curvature: UnsafePointer<Double>?, _ meanGradient: UnsafePointer<Double>?,
    _ damping: Double, _ solver: Int32, _ tolerance: Double, _ maxIterations: Int64,
    _ penalty: UnsafeMutablePointer<Double>?
) -> Int32 {
    boundary { () throws(Failure) in
        let gradients = try finiteInput(gradients, n, p, ld: ldg, "gradients")
        let reference = try optionalInput(reference, n, p, ld: ldr, "reference")
        let overconfidence = try finiteInput(overconfidence, count: n, "overconfidence")
        if curvature != nil {
            let curvature = try finiteInput(curvature, count: n, "curvature")
            for i in 0..<n where curvature[i] < 0 {
                throw Failure(
                    FPO_ERR_DOMAIN, "curvature[\(i)]: \(curvature[i]), but must be >= 0")
            }
        }
        if meanGradient != nil { _ = try finiteInput(meanGradient, count: p, "mean_gradient") }
        try requirePositive(damping, "damping")
        let method = try exactSolver(solver, tolerance, maxIterations)
        let penalty = try output(penalty, count: n, "penalty")
        let exact = ExactPenalty(
            gradients: gradients, reference: reference, curvature: curvature,
            meanGradient: meanGradient, damping: damping)
        try attempt { () throws(NumericsError) in
            try exact.evaluate(overconfidence: overconfidence, solver: method, into: penalty)
        }
    }
}

private func exactSolver(
    _ solver: Int32, _ tolerance: Double, _ maxIterations: Int64
) throws(Failure) -> ExactPenalty.Solver {
    switch Int(solver) {
    case FPO_SOLVER_GRAM: return .gram
    case FPO_SOLVER_CONJUGATE_GRADIENT:
        try requireIteration(tolerance, maxIterations)
        return .conjugateGradient(
            tolerance: tolerance, maximumIterations: Int(maxIterations))
    default: throw Failure(FPO_ERR_DOMAIN, "solver: \(solver), but must be a FPO_SOLVER_...")
    }
}

@c @implementation
public func fpo_self_influence_f64(
    _ n: Int, _ p: Int, _ gradients: UnsafePointer<Double>?, _ ldg: Int, _ learningRate: Double,
    _ influence: UnsafeMutablePointer<Double>?
) -> Int32 {
    selfInfluence(n, p, gradients, ldg, learningRate, influence)
}

@c @implementation
public func fpo_self_influence_f32(
    _ n: Int, _ p: Int, _ gradients: UnsafePointer<Float>?, _ ldg: Int, _ learningRate: Double,
    _ influence: UnsafeMutablePointer<Double>?
) -> Int32 {
    selfInfluence(n, p, gradients, ldg, learningRate, influence)
}

private func selfInfluence<Element: KernelElement>(
    _ n: Int, _ p: Int, _ gradients: UnsafePointer<Element>?, _ ldg: Int,
    _ learningRate: Double, _ influence: UnsafeMutablePointer<Double>?
) -> Int32 {
    boundary { () throws(Failure) in
        let gradients = try finiteInput(gradients, n, p, ld: ldg, "gradients")
        try requireNonnegative(learningRate, "learning_rate")
        let influence = try output(influence, count: n, "influence")
        try attempt { () throws(NumericsError) in
            try Influence.own(gradients, learningRate: learningRate, into: influence)
        }
    }
}

@c @implementation
public func fpo_influence_f64(
    _ n: Int, _ m: Int, _ p: Int, _ gradients: UnsafePointer<Double>?, _ ldg: Int,
    _ others: UnsafePointer<Double>?, _ ldo: Int, _ learningRate: Double,
    _ influence: UnsafeMutablePointer<Double>?, _ ldi: Int
) -> Int32 {
    crossInfluence(n, m, p, gradients, ldg, others, ldo, learningRate, influence, ldi)
}

@c @implementation
public func fpo_influence_f32(
    _ n: Int, _ m: Int, _ p: Int, _ gradients: UnsafePointer<Float>?, _ ldg: Int,
    _ others: UnsafePointer<Float>?, _ ldo: Int, _ learningRate: Double,
    _ influence: UnsafeMutablePointer<Double>?, _ ldi: Int
) -> Int32 {
    crossInfluence(n, m, p, gradients, ldg, others, ldo, learningRate, influence, ldi)
}

private func crossInfluence<Element: KernelElement>(
    _ n: Int, _ m: Int, _ p: Int, _ gradients: UnsafePointer<Element>?, _ ldg: Int,
    _ others: UnsafePointer<Element>?, _ ldo: Int, _ learningRate: Double,
    _ influence: UnsafeMutablePointer<Double>?, _ ldi: Int
) -> Int32 {
    boundary { () throws(Failure) in
        let gradients = try finiteInput(gradients, n, p, ld: ldg, "gradients")
        let others = try finiteInput(others, m, p, ld: ldo, "others")
        try requireNonnegative(learningRate, "learning_rate")
        let influence = try output(influence, n, m, ld: ldi, "influence")
        try attempt { () throws(NumericsError) in
            try Influence.cross(
                gradients, others, learningRate: learningRate, into: influence,
                leadingDimension: ldi)
        }
    }
}

/// An array that may be left out.
private func optionalInput<Element: KernelElement>(
    _ pointer: UnsafePointer<Element>?, _ rows: Int, _ columns: Int, ld: Int, _ name: String
) throws(Failure) -> Rows<Element>? {
    guard let pointer else { return nil }
    return try finiteInput(pointer, rows, columns, ld: ld, name)
}
