public import FPONumerics

/// The FPO penalty of a sample, *overconfidence × alignment*, to be subtracted from its reward
/// after multiplication by `λ`:
///
///     practical                    P = ⟨v, g⟩
///     practical, shift-invariant   P = ⟨v, v⟩ ≥ 0
///     relaxed                      P = e ⟨v, g⟩
///     residual                     P = ê ⟨v, g⟩
///
/// with the gradient `g = ∇φ r(z)` of the reward model at the sample. For the squared error
/// `v = g`, and practical is `‖g‖²`; for Bradley–Terry `v = g − g₀` with the gradient `g₀` at the
/// reference, where `⟨v, g⟩` may be negative. `e` is the ``Overconfidence``, `ê` its estimate from
/// labels that were already bought.
///
/// All three replace the inverse Hessian of the exact penalty (``ExactPenalty``) by the identity
/// and the policy's mean gradient by the sample's own. Gauthier, Bach and Jordan,
/// arXiv:2605.04266; the shift-invariant and the residual form are this project's
/// (docs/math/fpo-penalty.md).
///
/// Cost: one pass over the gradients. Sums run in double, in an order that depends on the number
/// of columns alone.
public enum FPOPenalty {
    /// One value a row of `gradients (n, p)`; `reference`, of the same shape, where the loss is
    /// Bradley–Terry.
    public static func practical<Element: KernelElement>(
        gradients: Rows<Element>, reference: Rows<Element>?, shiftInvariant: Bool = false,
        into penalty: UnsafeMutablePointer<Double>
    ) throws(NumericsError) {
        let kernels = try Element.kernels()
        let p = gradients.columns
        ThreadPool.shared.run(items: gradients.count, cost: p) { samples in
            for i in samples {
                let g = gradients[i]
                penalty[i] =
                    switch (reference, shiftInvariant) {
                    case (nil, _): kernels.dot(p, g, g)
                    case (let reference?, false): kernels.differenceDot(p, g, reference[i], g)
                    case (let reference?, true): kernels.squaredDistance(p, g, reference[i])
                    }
            }
        }
    }

    /// The same times the overconfidence of each sample: relaxed with the oracle's labels,
    /// residual with estimated ones.
    public static func relaxed<Element: KernelElement>(
        gradients: Rows<Element>, reference: Rows<Element>?,
        overconfidence: UnsafePointer<Double>, into penalty: UnsafeMutablePointer<Double>
    ) throws(NumericsError) {
        try practical(gradients: gradients, reference: reference, into: penalty)
        for i in 0..<gradients.count { penalty[i] *= overconfidence[i] }
    }
}
