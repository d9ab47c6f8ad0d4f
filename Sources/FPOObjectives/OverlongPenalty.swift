/// DAPO's soft punishment of length: 0 up to `L − C` tokens, falling to −1 at `L`, −1 beyond.
///
/// Yu et al., arXiv:2503.14476, eq. 13.
public enum OverlongPenalty {
    public static func evaluate(length: Double, maximum L: Double, buffer C: Double) -> Double {
        if length <= L - C { return 0 }
        return length >= L ? -1 : (L - C - length) / C
    }
}
