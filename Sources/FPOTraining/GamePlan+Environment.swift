import FPOKernelTypes

extension GamePlan {
    /// The environment and the penalty as the kernels read them.
    init(
        _ e: Environment, _ penalty: SteeringPenalty, widths: UnsafePointer<Int>,
        centre: UnsafePointer<Double>
    ) {
        self.init()
        dimension = e.dimension
        signalDimension = e.signalDimension
        rounds = e.rounds
        innerSteps = e.innerSteps
        utilityPeak = e.utilityPeak
        utilityTarget = e.utilityTarget
        utilityDecay = e.utilityDecay
        actionCost = e.actionCost
        policyRate = e.policyRate
        policyRateFinal = e.policyRateFinal
        exploration = e.exploration
        explorationFinal = e.explorationFinal
        annealingPower = e.annealingPower
        gradientClip = e.gradientClip
        differenceStep = e.gradient == .forwardDifference ? e.differenceStep : 0
        self.centre = centre

        labelsPerRound = e.labelsPerRound
        labelBuffer = e.labelBuffer
        labelExploration = e.labelExploration
        labelNoise = e.labelNoise
        labelBias = e.labelBias

        self.widths = widths
        hiddenCount = e.hidden.count
        bias = e.rewardModel == .mlp || e.rewardBias
        rewardSteps = e.rewardSteps
        optimizer = e.optimizer
        rewardRate = e.rewardRate
        weightDecay = e.weightDecay

        setPenalty(penalty, e)
    }

    private mutating func setPenalty(_ penalty: SteeringPenalty, _ e: Environment) {
        weight = penalty.weight < 0 ? e.penaltyWeight : penalty.weight
        damping = penalty.damping
        let asPublished = penalty.oracleGradient == .published
        let oracleSlope =
            asPublished ? e.rewardModel == .linear : penalty.oracleGradient == .yes
        switch penalty.kind {
        case .myopic: alignment = .none
        case .practical: alignment = .norm
        case .relaxed:
            alignment = .norm
            overconfidence = .oracle
            labelSlope = oracleSlope
        case .exact:
            overconfidence = .oracle
            labelSlope = oracleSlope
            setAlignment(penalty)
        case .residual:
            setAlignment(penalty)
            overconfidence = .estimate
            labelSlope = penalty.estimatorGradient
            estimatorBuffer = penalty.estimatorBuffer > 0 ? penalty.estimatorBuffer : e.labelBuffer
            estimator = penalty.estimator == .ridge ? .ridge : .kalman
            kappa = penalty.kappa
            filter = penalty.filter
        }
    }
}

extension GamePlan {
    fileprivate mutating func setAlignment(_ penalty: SteeringPenalty) {
        inverseCurvature = penalty.curvature == .inverse
        switch (penalty.alignment, penalty.curvature) {
        case (.mean, _): alignment = .direction
        case (.own, .inverse): alignment = .inverseNorm
        case (.own, .identity): alignment = .norm
        case (.unit, _): alignment = .unit
        }
    }
}

extension Environment {
    /// Turns `count` standard normals into one reward model's initial weights.
    func shapeInitialWeights(_ weights: UnsafeMutablePointer<Double>, count: Int) {
        for i in 0..<count { weights[i] *= initialWeightScale }
        guard rewardModel == .mlp else {
            for i in 0..<signalDimension { weights[i] += initialSignalWeight }
            if rewardBias { weights[count - 1] = 0 }
            return
        }
        var offset = 0
        for (I, O) in zip([dimension] + hidden, hidden + [1]) {
            offset += I * O
            for o in 0..<O { weights[offset + o] = 0 }
            offset += O
        }
    }
}
