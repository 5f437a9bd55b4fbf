-- Who vouches for what a lock says: `adapter` where something else than the lock itself moves its bolt; null for a lock
-- that verifies and moves by itself.
ALTER TABLE locks ADD COLUMN assurance TEXT CHECK (assurance IN ('adapter'));
