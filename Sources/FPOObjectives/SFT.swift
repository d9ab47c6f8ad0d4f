/// Supervised fine-tuning: the negative log-likelihood of the demonstrated tokens.
///
///     loss = −log π(y)/T    with a mean over tokens, or −log π(y)
///
/// Over a batch, the mean of the first weighs responses equally; the sum of the second over the
/// number of all tokens weighs tokens equally, as a language model is trained.
public enum SFT {
    public static func evaluate(
        _ response: Response, isMean: Bool
    ) -> (loss: Double, derivative: Double) {
        let scale = isMean ? 1 / response.tokens : 1
        return (loss: -scale * response.logProbability, derivative: -scale)
    }
}
