public import FPONumerics

/// The centred hidden embedding similarity of a pair: how far training on it will push the chosen
/// response down with the rejected one.
///
///     S± = Σ_t h±_t,   CHES = ⟨S⁺, S⁻⟩ − ‖S⁺‖²
///
/// `h_t` are the inputs of the unembedding at the positions that predict the response's tokens
/// (the prompt's last token to the response's last but one), without padding. Razin et al.,
/// arXiv:2410.08847, definition 2.
public struct CHES: Sendable, Equatable {
    public var score = 0.0
    /// `⟨S⁺, S⁻⟩/(T⁺ T⁻) − ‖S⁺‖²/T⁺²`
    public var lengthNormalized = 0.0
    /// The same of the last embeddings alone, `⟨h⁺, h⁻⟩ − ‖h⁺‖²`.
    public var last = 0.0

    /// Both responses have at least one token.
    public init(chosen: Rows<Double>, rejected: Rows<Double>) {
        let (T, U) = (Double(chosen.count), Double(rejected.count))
        let (w, l) = (chosen[chosen.count - 1], rejected[rejected.count - 1])
        var cross = 0.0, own = 0.0
        for j in 0..<chosen.columns {
            var (s, r) = (0.0, 0.0)
            for t in 0..<chosen.count { s += chosen[t][j] }
            for t in 0..<rejected.count { r += rejected[t][j] }
            cross += s * r
            own += s * s
            last += w[j] * l[j] - w[j] * w[j]
        }
        score = cross - own
        lengthNormalized = cross / (T * U) - own / (T * T)
    }
}
