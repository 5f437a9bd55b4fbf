//! The tables as diesel sees them: the same as `migrations/`, which is the truth.

#![allow(missing_docs, reason = "the columns are described in the migrations")]

diesel::table! {
    organizations (id) {
        id -> Text,
        name -> Text,
        created_at_ms -> BigInt,
    }
}

diesel::table! {
    access_log_heads (organization_id) {
        organization_id -> Text,
        last_seq -> BigInt,
        last_at_ms -> BigInt,
    }
}

diesel::table! {
    persons (id) {
        id -> Text,
        email -> Text,
        name -> Text,
        password_hash -> Text,
        created_at_ms -> BigInt,
        erased_at_ms -> Nullable<BigInt>,
    }
}

diesel::table! {
    memberships (organization_id, person_id) {
        organization_id -> Text,
        person_id -> Text,
        role -> Text,
        created_at_ms -> BigInt,
        ended_at_ms -> Nullable<BigInt>,
    }
}

diesel::table! {
    sessions (id) {
        id -> Text,
        person_id -> Text,
        access_digest -> Text,
        access_ends_at_ms -> BigInt,
        refresh_digest -> Text,
        refresh_ends_at_ms -> BigInt,
        created_at_ms -> BigInt,
        ended_at_ms -> Nullable<BigInt>,
        end_reason -> Nullable<Text>,
        link_id -> Nullable<Text>,
        phone_id -> Nullable<Text>,
        key_thumbprint -> Nullable<Text>,
        device -> Text,
        used_at_ms -> BigInt,
        proven_at_ms -> BigInt,
    }
}

diesel::table! {
    second_factors (person_id) {
        person_id -> Text,
        sealed -> Text,
        begun_at_ms -> BigInt,
        confirmed_at_ms -> Nullable<BigInt>,
        last_step -> BigInt,
    }
}

diesel::table! {
    recovery_codes (person_id, digest) {
        person_id -> Text,
        digest -> Text,
        made_at_ms -> BigInt,
        used_at_ms -> Nullable<BigInt>,
    }
}

diesel::table! {
    passkeys (id) {
        id -> Text,
        person_id -> Text,
        name -> Text,
        credential -> Text,
        public_key -> Text,
        counter -> BigInt,
        synced -> Bool,
        registered_at_ms -> BigInt,
        used_at_ms -> Nullable<BigInt>,
        removed_at_ms -> Nullable<BigInt>,
    }
}

diesel::table! {
    passkey_challenges (digest) {
        digest -> Text,
        ceremony -> Text,
        session_id -> Nullable<Text>,
        ends_at_ms -> BigInt,
    }
}

diesel::table! {
    guest_links (id) {
        id -> Text,
        organization_id -> Text,
        grant_id -> Text,
        secret_digest -> Text,
        phones_limit -> BigInt,
        starts_at_ms -> BigInt,
        ends_at_ms -> BigInt,
        made_by -> Text,
        created_at_ms -> BigInt,
        voided_at_ms -> Nullable<BigInt>,
    }
}

diesel::table! {
    guest_link_phones (link_id, phone_id) {
        link_id -> Text,
        phone_id -> Text,
        redeemed_at_ms -> BigInt,
    }
}

diesel::table! {
    spent_refresh_tokens (digest) {
        digest -> Text,
        session_id -> Text,
    }
}

diesel::table! {
    sign_in_failures (subject) {
        subject -> Text,
        failures -> BigInt,
        last_at_ms -> BigInt,
    }
}

diesel::table! {
    properties (id) {
        id -> Text,
        organization_id -> Text,
        name -> Text,
        address -> Text,
        time_zone -> Text,
        created_at_ms -> BigInt,
    }
}

diesel::table! {
    units (id) {
        id -> Text,
        organization_id -> Text,
        property_id -> Text,
        name -> Text,
        created_at_ms -> BigInt,
    }
}

diesel::table! {
    tenancies (id) {
        id -> Text,
        organization_id -> Text,
        unit_id -> Text,
        person_id -> Text,
        starts_at_ms -> BigInt,
        ends_at_ms -> Nullable<BigInt>,
        created_at_ms -> BigInt,
        set_by -> Nullable<Text>,
        closed_at_ms -> Nullable<BigInt>,
    }
}

diesel::table! {
    invitations (id) {
        id -> Text,
        organization_id -> Text,
        email -> Text,
        role -> Text,
        unit_id -> Nullable<Text>,
        tenancy_starts_at_ms -> Nullable<BigInt>,
        tenancy_ends_at_ms -> Nullable<BigInt>,
        secret_digest -> Text,
        invited_by -> Text,
        created_at_ms -> BigInt,
        ends_at_ms -> BigInt,
        accepted_at_ms -> Nullable<BigInt>,
        accepted_by -> Nullable<Text>,
    }
}

diesel::table! {
    locks (id) {
        id -> Text,
        organization_id -> Text,
        property_id -> Text,
        unit_id -> Nullable<Text>,
        name -> Text,
        kind -> Text,
        state -> Text,
        created_at_ms -> BigInt,
        retired_at_ms -> Nullable<BigInt>,
        claim_digest -> Nullable<Text>,
        claim_ends_at_ms -> Nullable<BigInt>,
        enrolled_at_ms -> Nullable<BigInt>,
        public_key -> Nullable<Text>,
        broker_digest -> Nullable<Text>,
        model -> Nullable<Text>,
        firmware -> Nullable<Text>,
        counter -> BigInt,
        last_issued_at_ms -> BigInt,
        chain -> Nullable<Text>,
        chain_seq -> BigInt,
        chain_head -> Nullable<Text>,
        quarantined_at_ms -> Nullable<BigInt>,
        enrolments -> BigInt,
        leaving_at_ms -> Nullable<BigInt>,
        revocations_epoch -> BigInt,
        min_rev -> BigInt,
        pass_rev -> BigInt,
        assurance -> Nullable<Text>,
        shareable -> Bool,
    }
}

diesel::table! {
    enrolments (lock_id, number) {
        lock_id -> Text,
        number -> BigInt,
        public_key -> Text,
        model -> Nullable<Text>,
        enrolled_at_ms -> BigInt,
        ended_at_ms -> Nullable<BigInt>,
        end_reason -> Nullable<Text>,
        chain -> Nullable<Text>,
        chain_seq -> Nullable<BigInt>,
    }
}

diesel::table! {
    lock_reports (lock_id) {
        lock_id -> Text,
        hello_at_ms -> Nullable<BigInt>,
        boot -> Nullable<BigInt>,
        mono -> Nullable<BigInt>,
        clock -> Nullable<Text>,
        online -> Nullable<Bool>,
        online_at_ms -> Nullable<BigInt>,
        bolt -> Nullable<Text>,
        bolt_at_ms -> Nullable<BigInt>,
        door -> Nullable<Text>,
        door_at_ms -> Nullable<BigInt>,
        battery -> Nullable<BigInt>,
        battery_at_ms -> Nullable<BigInt>,
        head_chain -> Nullable<Text>,
        head_seq -> Nullable<BigInt>,
        jammed_at_ms -> Nullable<BigInt>,
        keyset -> Nullable<BigInt>,
        revocations -> Nullable<BigInt>,
        revocations_seq -> Nullable<BigInt>,
        lockdown -> Nullable<BigInt>,
        lockdown_seq -> Nullable<BigInt>,
        battery_low -> Bool,
    }
}

diesel::table! {
    lock_places (lock_id, until_ms) {
        lock_id -> Text,
        until_ms -> BigInt,
        property_id -> Text,
        unit_id -> Nullable<Text>,
    }
}

diesel::table! {
    leases (name) {
        name -> Text,
        holder -> Text,
        ends_at_ms -> BigInt,
    }
}

diesel::table! {
    grants (id) {
        id -> Text,
        organization_id -> Text,
        person_id -> Nullable<Text>,
        invitation_id -> Nullable<Text>,
        given_by -> Text,
        created_at_ms -> BigInt,
        starts_at_ms -> BigInt,
        ends_at_ms -> Nullable<BigInt>,
        schedule -> Nullable<Text>,
        uses_limit -> Nullable<BigInt>,
        uses_taken -> BigInt,
        used_at_ms -> Nullable<BigInt>,
        revoked_at_ms -> Nullable<BigInt>,
        revoked_by -> Nullable<Text>,
        ways -> Text,
        role -> Text,
        delegable -> Bool,
        under -> Nullable<Text>,
        round -> BigInt,
        spare_on_silence -> Nullable<Text>,
        spare_answer_minutes -> Nullable<BigInt>,
        spare_release_minutes -> Nullable<BigInt>,
        spare_by_landlord -> Nullable<Bool>,
        released_until_ms -> Nullable<BigInt>,
    }
}

diesel::table! {
    spare_asks (grant_id, asked_at_ms) {
        grant_id -> Text,
        asked_at_ms -> BigInt,
        reason -> Text,
        answer_by_ms -> BigInt,
        answered_at_ms -> Nullable<BigInt>,
        answered_by -> Nullable<Text>,
        answer -> Nullable<Text>,
    }
}

diesel::table! {
    grant_locks (grant_id, lock_id) {
        grant_id -> Text,
        lock_id -> Text,
    }
}

diesel::table! {
    phones (id) {
        id -> Text,
        person_id -> Text,
        name -> Text,
        public_key -> Text,
        thumbprint -> Text,
        registered_at_ms -> BigInt,
        removed_at_ms -> Nullable<BigInt>,
    }
}

diesel::table! {
    passes (lock_id, source, phone_id) {
        lock_id -> Text,
        source -> Text,
        phone_id -> Text,
        organization_id -> Text,
        ends_at_ms -> BigInt,
        counts_until_ms -> BigInt,
    }
}

diesel::table! {
    pass_uses (grant_id, lock_id) {
        grant_id -> Text,
        lock_id -> Text,
        taken -> BigInt,
    }
}

diesel::table! {
    revocations (lock_id, name) {
        lock_id -> Text,
        name -> Text,
        ends_at_ms -> BigInt,
        leaves_at_ms -> BigInt,
        epoch -> BigInt,
        listed -> Bool,
    }
}

diesel::table! {
    lockdowns (id) {
        id -> Text,
        organization_id -> Text,
        property_id -> Text,
        part -> Text,
        exceptions -> Text,
        reason -> Text,
        begun_by -> Text,
        begun_at_ms -> BigInt,
        until_at_ms -> BigInt,
        ended_at_ms -> Nullable<BigInt>,
        ended_by -> Nullable<Text>,
    }
}

diesel::table! {
    lockdown_lists (property_id, name) {
        property_id -> Text,
        name -> Text,
        person_ids -> Text,
        grant_ids -> Text,
    }
}

diesel::table! {
    lock_lockdowns (lock_id) {
        lock_id -> Text,
        epoch -> BigInt,
        holds -> Text,
        ends_at_ms -> BigInt,
        said_at_ms -> BigInt,
    }
}

diesel::table! {
    attempts (id) {
        id -> Text,
        organization_id -> Text,
        lock_id -> Text,
        person_id -> Text,
        action -> Text,
        status -> Text,
        reason -> Nullable<Text>,
        grant_id -> Nullable<Text>,
        tenancy_id -> Nullable<Text>,
        jti -> Nullable<Text>,
        counter -> Nullable<BigInt>,
        deadline_at_ms -> Nullable<BigInt>,
        requested_at_ms -> BigInt,
        relayed_at_ms -> Nullable<BigInt>,
        accepted_at_ms -> Nullable<BigInt>,
        confirmed_at_ms -> Nullable<BigInt>,
        takes_use -> Bool,
    }
}

diesel::table! {
    lock_events (lock_id, chain, seq) {
        lock_id -> Text,
        chain -> Text,
        seq -> BigInt,
        hash -> Text,
        kind -> Text,
        token -> Text,
        received_at_ms -> BigInt,
        twin_hash -> Nullable<Text>,
        forgotten -> Bool,
    }
}

diesel::table! {
    access_log (organization_id, seq) {
        organization_id -> Text,
        seq -> BigInt,
        recorded_at_ms -> BigInt,
        occurred_at_ms -> BigInt,
        kind -> Text,
        outcome -> Text,
        reason -> Nullable<Text>,
        property_id -> Nullable<Text>,
        unit_id -> Nullable<Text>,
        lock_id -> Nullable<Text>,
        person_id -> Nullable<Text>,
        actor_id -> Nullable<Text>,
        grant_id -> Nullable<Text>,
        attempt_id -> Nullable<Text>,
        detail -> Nullable<Text>,
        staff_sees -> Text,
        salt -> Nullable<Text>,
        leaf -> Nullable<Text>,
    }
}

diesel::table! {
    log_tiles (organization_id, level, position) {
        organization_id -> Text,
        level -> BigInt,
        position -> BigInt,
        hashes -> Text,
    }
}

diesel::table! {
    log_trees (organization_id) {
        organization_id -> Text,
        size -> BigInt,
        sealed_at_ms -> BigInt,
    }
}

diesel::table! {
    access_log_witnesses (organization_id, person_id, seq) {
        organization_id -> Text,
        seq -> BigInt,
        person_id -> Text,
        sees -> Text,
    }
}

diesel::table! {
    privacy_rules (property_id) {
        property_id -> Text,
        landlord_sees_since_ms -> Nullable<BigInt>,
        retention_days -> BigInt,
        retention_reason -> Nullable<Text>,
        promised_days -> Nullable<BigInt>,
        promised_until_ms -> Nullable<BigInt>,
        changed_at_ms -> BigInt,
    }
}

diesel::table! {
    looks (id) {
        id -> Text,
        organization_id -> Text,
        person_id -> Text,
        unit_id -> Text,
        lock_id -> Nullable<Text>,
        from_at_ms -> BigInt,
        to_at_ms -> BigInt,
        reason -> Text,
        opened_at_ms -> BigInt,
        ends_at_ms -> BigInt,
        used_at_ms -> Nullable<BigInt>,
    }
}

diesel::table! {
    look_concerns (person_id, look_id) {
        look_id -> Text,
        person_id -> Text,
    }
}

diesel::table! {
    lock_pins (lock_id) {
        lock_id -> Text,
        enrolment -> BigInt,
        version -> BigInt,
        held -> BigInt,
        seen_chain -> Nullable<Text>,
        seen_seq -> BigInt,
        sent -> Text,
        tries -> BigInt,
        next_try_at_ms -> BigInt,
        refusal -> Nullable<Text>,
        boot -> Nullable<BigInt>,
        codes -> BigInt,
        codes_since_ms -> BigInt,
        codes_version -> BigInt,
        zone -> Text,
        zone_version -> BigInt,
        zone_review_at_ms -> BigInt,
        slots_limit -> BigInt,
        digits_least -> BigInt,
        digits_most -> BigInt,
        restored -> Nullable<BigInt>,
    }
}

diesel::table! {
    pin_slots (lock_id, slot, given_version) {
        lock_id -> Text,
        slot -> BigInt,
        given_version -> BigInt,
        enrolment -> BigInt,
        grant_id -> Nullable<Text>,
        state -> Text,
        version -> BigInt,
        since_at_ms -> BigInt,
        told -> Bool,
        mac -> Nullable<Text>,
        sealed -> Nullable<Text>,
        ends_at_ms -> BigInt,
        review_at_ms -> BigInt,
        length -> BigInt,
        uses -> Nullable<BigInt>,
        openings -> BigInt,
        after_chain -> Nullable<Text>,
        after_seq -> BigInt,
    }
}

diesel::table! {
    computed_codes (lock_id, enrolment, generation, first_day, days, serial) {
        lock_id -> Text,
        enrolment -> BigInt,
        generation -> BigInt,
        first_day -> BigInt,
        days -> BigInt,
        serial -> BigInt,
        grant_id -> Text,
        given_at_ms -> BigInt,
        starts_at_ms -> BigInt,
        first_use_before_ms -> BigInt,
        ends_at_ms -> BigInt,
        after_chain -> Nullable<Text>,
        after_seq -> BigInt,
    }
}

diesel::table! {
    idempotent_requests (subject) {
        subject -> Text,
        request_digest -> Text,
        answer -> Nullable<Text>,
        created_at_ms -> BigInt,
    }
}

diesel::table! {
    installation (name) {
        name -> Text,
        value -> Text,
    }
}

diesel::table! {
    notices (id) {
        id -> Text,
        organization_id -> Text,
        person_id -> Text,
        kind -> Text,
        lock_id -> Nullable<Text>,
        unit_id -> Nullable<Text>,
        actor_id -> Nullable<Text>,
        detail -> Nullable<Text>,
        told_at_ms -> BigInt,
        read_at_ms -> Nullable<BigInt>,
        weighed_at_ms -> Nullable<BigInt>,
    }
}

diesel::table! {
    letters (id) {
        id -> Text,
        kind -> Text,
        sealed -> Nullable<Text>,
        state -> Text,
        tries -> BigInt,
        queued_at_ms -> BigInt,
        next_try_at_ms -> BigInt,
        expires_at_ms -> BigInt,
        ended_at_ms -> Nullable<BigInt>,
    }
}

diesel::table! {
    unwanted_letters (person_id, kind) {
        person_id -> Text,
        kind -> Text,
    }
}

diesel::table! {
    alarms_told (organization_id) {
        organization_id -> Text,
        told_seq -> BigInt,
    }
}

diesel::table! {
    webhooks (id) {
        id -> Text,
        organization_id -> Text,
        sealed_url -> Text,
        kinds -> Text,
        created_by -> Text,
        created_at_ms -> BigInt,
        state -> Text,
        secret_number -> BigInt,
        former_secret_ends_at_ms -> BigInt,
        told_seq -> BigInt,
        failures -> BigInt,
        failing_since_ms -> Nullable<BigInt>,
        next_try_at_ms -> BigInt,
        turn -> BigInt,
        turn_ends_at_ms -> BigInt,
    }
}

diesel::table! {
    webhook_deliveries (id) {
        id -> Text,
        webhook_id -> Text,
        seq -> BigInt,
        tried_at_ms -> BigInt,
        took_ms -> BigInt,
        result -> Text,
        status -> Nullable<BigInt>,
    }
}

diesel::table! {
    api_keys (id) {
        id -> Text,
        organization_id -> Text,
        person_id -> Text,
        name -> Text,
        scopes -> Text,
        digest -> Text,
        made_by -> Text,
        created_at_ms -> BigInt,
        ends_at_ms -> BigInt,
        last_used_at_ms -> Nullable<BigInt>,
        revoked_at_ms -> Nullable<BigInt>,
        revoked_by -> Nullable<Text>,
    }
}

diesel::table! {
    used_proofs (digest) {
        digest -> Text,
        used_at_ms -> BigInt,
    }
}

diesel::table! {
    organization_rules (organization_id) {
        organization_id -> Text,
        two_person_grants -> Bool,
        two_person_lockdown -> Bool,
        self_grant_delay_hours -> BigInt,
        delay_before_hours -> BigInt,
        delay_changed_at_ms -> BigInt,
        phone_key_required -> Bool,
    }
}

diesel::table! {
    proposals (id) {
        id -> Text,
        organization_id -> Text,
        kind -> Text,
        body -> Text,
        proposed_by -> Text,
        proposed_at_ms -> BigInt,
        ends_at_ms -> BigInt,
        state -> Text,
        decided_by -> Nullable<Text>,
        decided_at_ms -> Nullable<BigInt>,
    }
}

diesel::table! {
    visits (id) {
        id -> Text,
        organization_id -> Text,
        property_id -> Text,
        unit_id -> Nullable<Text>,
        vendor_name -> Text,
        vendor_company -> Text,
        vendor_phone -> Text,
        purpose -> Text,
        starts_at_ms -> BigInt,
        ends_at_ms -> BigInt,
        stay_ms -> BigInt,
        lock_change -> Bool,
        ordered_by -> Text,
        ordered_at_ms -> BigInt,
        emergency_by -> Nullable<Text>,
        emergency_at_ms -> Nullable<BigInt>,
        emergency_reason -> Nullable<Text>,
        code_digest -> Nullable<Text>,
        code_ends_at_ms -> Nullable<BigInt>,
        code_tries -> BigInt,
        let_in_at_ms -> Nullable<BigInt>,
        grant_id -> Nullable<Text>,
        begun_at_ms -> Nullable<BigInt>,
        ended_at_ms -> Nullable<BigInt>,
        end_reason -> Nullable<Text>,
    }
}

diesel::table! {
    visit_locks (visit_id, lock_id) {
        visit_id -> Text,
        lock_id -> Text,
    }
}

diesel::table! {
    visit_answers (visit_id, person_id) {
        visit_id -> Text,
        person_id -> Text,
        agrees -> Bool,
        answered_at_ms -> BigInt,
    }
}

diesel::table! {
    lockout_policies (property_id) {
        property_id -> Text,
        policy -> Text,
        changed_at_ms -> BigInt,
        changed_by -> Text,
    }
}

diesel::table! {
    lockouts (id) {
        id -> Text,
        organization_id -> Text,
        property_id -> Text,
        unit_id -> Text,
        lock_id -> Text,
        person_id -> Text,
        tenancy_id -> Text,
        lease_starts_at_ms -> BigInt,
        asked_at_ms -> BigInt,
        identity -> Text,
        seen_by -> Nullable<Text>,
        saw -> Nullable<Text>,
        policy -> Text,
        policy_by -> Nullable<Text>,
        begun -> BigInt,
        next_at_ms -> BigInt,
        state -> Text,
        decided_at_ms -> Nullable<BigInt>,
        decided_by -> Nullable<Text>,
        reason -> Nullable<Text>,
        grant_id -> Nullable<Text>,
        way_ends_at_ms -> Nullable<BigInt>,
        used_at_ms -> Nullable<BigInt>,
        booked -> Bool,
    }
}

diesel::table! {
    lockout_asks (id) {
        id -> Text,
        code_digest -> Text,
        by_email -> Bool,
        tries -> BigInt,
        asked_at_ms -> BigInt,
        ends_at_ms -> BigInt,
        person_id -> Nullable<Text>,
        unit_id -> Nullable<Text>,
        subject -> Text,
        lockout_id -> Nullable<Text>,
        follow_digest -> Nullable<Text>,
        follow_ends_at_ms -> Nullable<BigInt>,
    }
}

diesel::table! {
    ledger_lines (id) {
        id -> Text,
        organization_id -> Text,
        seq -> BigInt,
        booked_at_ms -> BigInt,
        item -> Text,
        lockout_id -> Text,
        property_id -> Text,
        unit_id -> Text,
        person_id -> Text,
        actor_id -> Nullable<Text>,
        amount_minor -> BigInt,
        currency -> Text,
        rate -> Nullable<Text>,
        waives -> Nullable<Text>,
        reason -> Nullable<Text>,
    }
}

diesel::joinable!(grant_locks -> grants (grant_id));
diesel::joinable!(guest_link_phones -> guest_links (link_id));
diesel::joinable!(guest_link_phones -> phones (phone_id));
diesel::joinable!(guest_links -> grants (grant_id));
diesel::joinable!(lock_pins -> locks (lock_id));
diesel::joinable!(lock_reports -> locks (lock_id));
diesel::joinable!(lock_lockdowns -> locks (lock_id));
diesel::joinable!(grant_locks -> locks (lock_id));
diesel::joinable!(tenancies -> units (unit_id));
diesel::joinable!(memberships -> persons (person_id));
diesel::joinable!(privacy_rules -> properties (property_id));
diesel::joinable!(units -> properties (property_id));

diesel::allow_tables_to_appear_in_same_query!(
    organizations,
    access_log_heads,
    persons,
    memberships,
    sessions,
    used_proofs,
    guest_links,
    guest_link_phones,
    spent_refresh_tokens,
    sign_in_failures,
    passkeys,
    passkey_challenges,
    properties,
    units,
    tenancies,
    invitations,
    locks,
    enrolments,
    lock_reports,
    lock_places,
    leases,
    grants,
    grant_locks,
    spare_asks,
    phones,
    passes,
    pass_uses,
    revocations,
    attempts,
    lock_events,
    access_log,
    log_tiles,
    log_trees,
    access_log_witnesses,
    privacy_rules,
    looks,
    look_concerns,
    lock_pins,
    pin_slots,
    computed_codes,
    idempotent_requests,
    installation,
    notices,
    lockout_policies,
    lockouts,
    lockout_asks,
    ledger_lines,
    lockdowns,
    lockdown_lists,
    lock_lockdowns,
    letters,
    unwanted_letters,
    alarms_told,
    webhooks,
    webhook_deliveries,
    api_keys,
    organization_rules,
    proposals,
    visits,
    visit_locks,
    visit_answers,
);
