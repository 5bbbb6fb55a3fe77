"""Four eyes: what one operator proposes, another approves; and the record of every act of an operator."""
