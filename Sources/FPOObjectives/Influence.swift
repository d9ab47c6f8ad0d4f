public import FPONumerics

/// TracIn, the influence of a training sample on another by gradient descent: at one checkpoint
/// with learning rate `η`
///
///     influence        η ⟨gᵢ, g′ⱼ⟩     (n, m)
///     self-influence   η ‖gᵢ‖²         (n)
///
/// with gradients of the *loss*. A sum over checkpoints is the caller's.
/// Pruthi, Liu, Kale and Sundararajan, arXiv:2002.08484, eq. 2.
public enum Influence {
    /// `influence` has `leadingDimension` elements between rows.
    public static func cross<Element: KernelElement>(
        _ gradients: Rows<Element>, _ others: Rows<Element>, learningRate: Double,
        into influence: UnsafeMutablePointer<Double>, leadingDimension: Int
    ) throws(NumericsError) {
        let dot = try Element.kernels().dot
        let p = gradients.columns
        let cost = p.multipliedReportingOverflow(by: others.count)
        ThreadPool.shared.run(
            items: gradients.count, cost: cost.overflow ? .max : cost.partialValue
        ) { samples in
            for i in samples {
                for j in 0..<others.count {
                    influence[i * leadingDimension + j] =
                        learningRate * dot(p, gradients[i], others[j])
                }
            }
        }
    }

    public static func own<Element: KernelElement>(
        _ gradients: Rows<Element>, learningRate: Double,
        into influence: UnsafeMutablePointer<Double>
    ) throws(NumericsError) {
        try FPOPenalty.practical(gradients: gradients, reference: nil, into: influence)
        for i in 0..<gradients.count { influence[i] *= learningRate }
    }
}
